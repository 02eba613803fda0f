import { randomUUID } from "node:crypto";
import { basename } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import {
  type IntakeResult,
  inspectKey,
  keyFaults,
  type Level,
  mayBeImportedKey,
  Sazabi,
  SazabiApiError,
  SazabiConnectionError,
} from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import { type Batch, type InputPlace, makeBatches } from "../intake/batches.ts";
import { type FollowedPart, followFile } from "../intake/follow.ts";
import { type Line, readLines } from "../intake/lines.ts";
import { Positions } from "../intake/positions.ts";
import { openFile, refuseGzip, unpacked } from "../intake/source.ts";
import { count, Tally } from "../intake/tally.ts";
import { readText, stdinName } from "../intake/text-input.ts";
import { visible } from "../output/visible.ts";
import { type Session, sourced } from "../session.ts";
import { findProjectId } from "./project-option.ts";

export interface SendOptions {
  readonly service?: string;
  readonly level?: Level;
  readonly lineTimes?: boolean;
  readonly multiline?: "auto" | "on" | "off";
  readonly publicKey?: string;
  readonly project?: string;
  readonly follow?: boolean;
  readonly fromStart?: boolean;
}

/** How long to retry a batch in total while the service is busy. */
const retryBudgetMs = 120_000;

/** Sends the lines of a file or of stdin and reports the result. Fails if a line was rejected. */
export async function send(session: Session, file: string | undefined, options: SendOptions): Promise<void> {
  const fromStdin = file === undefined || file === "-";
  checkInput(session, fromStdin, options);
  const { client, publicKey } = await openClient(session, options);
  const tally = new Tally(session);
  const defaults = {
    service: options.service ?? (fromStdin ? undefined : serviceOf(file)),
    level: options.level,
    lineTimes: options.lineTimes ?? false,
    // Lines of a pipe are sent without waiting for continuations.
    multiline: options.multiline === "on" || (options.multiline !== "off" && !fromStdin),
    now: session.context.now(),
  };
  try {
    const positions = options.follow && file ? openPositions(session, file, publicKey, options) : undefined;
    const sending = { session, client, tally, positions };
    if (positions) await sendPending(sending, positions);
    const { lines, from } = await openInput(sending, fromStdin ? undefined : file);
    const batchOptions = { ...defaults, from, tellsPlaces: positions !== undefined };
    for await (const batch of makeBatches(lines, batchOptions, session.context.signal)) {
      await sendBatch(sending, batch, positions?.begin(batch) ?? randomUUID());
      positions?.done();
    }
  } catch (error) {
    tally.end();
    if (tally.sent > 0)
      session.say(`Stopped after ${count(tally.accepted)} accepted and ${count(tally.rejected)} rejected.`);
    throw error;
  }
  tally.end();
  await reportTally(session, tally);
}

interface Sending {
  readonly session: Session;
  readonly client: Sazabi;
  readonly tally: Tally;
  /** Set for a followed file. */
  readonly positions: Positions | undefined;
}

interface OpenInput {
  readonly lines: AsyncIterable<readonly Line[]>;
  /** Where the input begins, and what was sent before. */
  readonly from?: InputPlace | undefined;
}

/** Opens a file or stdin. With positions, skips what was already sent and follows the file. */
async function openInput({ session, tally, positions }: Sending, file: string | undefined): Promise<OpenInput> {
  const onChange = (what: string) => session.say(visible(what));
  const onOtherEncoding = () => {
    tally.otherEncoding++;
  };
  if (file === undefined) {
    const text = readText(unpacked(session.context.stdin, stdinName, onChange), stdinName);
    return { lines: readLines(text, { onOtherEncoding }) };
  }
  if (!positions) return { lines: readLines(readText(await openFile(file, onChange), file), { onOtherEncoding }) };
  const following = {
    signal: session.context.signal,
    onChange,
    onPart: (part: FollowedPart) => positions.addPart(part),
  };
  const start = await positions.start(file);
  if (start && !start.first) {
    onChange(`What was sent of ${file} is not in it any more, so it is sent from its beginning.`);
  }
  const bytes = followFile(file, { ...following, first: start?.first });
  const from = start?.from;
  if (!start?.first?.offset) {
    return { lines: readLines(readText(refuseGzip(bytes, file), file), { onOtherEncoding }), from };
  }
  const linesBefore = start.from.lines;
  onChange(
    `Going on with ${start.first.path} after line ${count(linesBefore)}. --from-start sends it from its beginning.`,
  );
  return { lines: readLines(bytes, { linesBefore, onOtherEncoding }), from };
}

/** Opens the stored positions. If they cannot be written, the file is sent anyway, and the next run sends it again. */
function openPositions(
  session: Session,
  file: string,
  publicKey: string,
  { fromStart = false }: SendOptions,
): Positions {
  let isTold = false;
  const onProblem = ({ message }: CliError) => {
    if (!isTold) session.say(`${message} The next run cannot tell how far ${visible(file)} was sent.`);
    isTold = true;
  };
  const followed = { file, apiUrl: session.apiUrl.value, publicKey, anew: fromStart };
  return Positions.open(() => session.context.configDirectory, followed, onProblem);
}

/** Resends the batch whose outcome the last run does not know. The idempotency key prevents duplicates. */
async function sendPending(sending: Sending, positions: Positions): Promise<void> {
  const { pending } = positions;
  if (!pending) return;
  await sendBatch(sending, { body: pending.body, entries: [], cutEntries: 0, next: undefined }, pending.idempotencyKey);
  positions.done();
}

function checkInput(session: Session, fromStdin: boolean, { publicKey, follow, fromStart }: SendOptions): void {
  if (fromStart && !follow) throw usageError("--from-start goes with --follow: without it, the whole file is sent.");
  if (!fromStdin) return;
  if (follow) throw usageError("--follow is for files: stdin is always followed.", "Name a file.");
  if (publicKey === "-" || session.flags.keyStdin) {
    throw usageError("The key and the logs cannot both come from stdin.", "Name a file, or set SAZABI_PUBLIC_KEY.");
  }
  if (session.context.stdin.isTTY) {
    throw usageError("Nothing to send.", "Name a file, or pipe lines into `sazabi logs send`.");
  }
}

/** Returns the service in a file name: `dpkg` for `/var/log/dpkg.log.1.gz`. */
function serviceOf(file: string): string | undefined {
  const name = basename(file).replace(/(\.(gz|log|txt|json|jsonl|ndjson|out|\d+))+$/i, "");
  return name || undefined;
}

async function openClient(session: Session, options: SendOptions) {
  const publicKey = await findPublicKey(session, options);
  // The tally shows the progress, so there is no spinner.
  const connection = { ...(await session.connection()), fetch: await session.openFetch({ spins: false }) };
  return { publicKey, client: new Sazabi({ publicKey, ...connection, compress: promisify(gzip), retryBudgetMs }) };
}

async function findPublicKey(session: Session, options: SendOptions): Promise<string> {
  const { publicKey, project } = options;
  if (publicKey === "-") return usePublicKey(session, await session.readKeyFromStdin("--public-key"), "stdin");
  if (publicKey !== undefined) return usePublicKey(session, publicKey, "--public-key");
  const fromEnv = session.context.env.SAZABI_PUBLIC_KEY?.trim();
  if (fromEnv && project === undefined) return usePublicKey(session, fromEnv, "SAZABI_PUBLIC_KEY");
  const admin = await session.admin();
  const projectId = await findProjectId(session, admin, project);
  const request = projectId === undefined ? {} : { projectId };
  const { value } = await admin.publicKeys.ensureLogForwarding(request, { signal: session.context.signal });
  return usePublicKey(session, value, "this project's log-forwarding key");
}

function usePublicKey(session: Session, text: string, source: string): string {
  const value = text.trim();
  session.credential = sourced(value, source);
  if (mayBeImportedKey(value)) return value;
  const inspection = inspectKey(value);
  if (!inspection.valid || inspection.kind !== "public") {
    const problem = inspection.valid
      ? "is a secret key; sending takes a public one (pk_live_…)"
      : `is not a valid key: ${keyFaults[inspection.fault]}`;
    throw new CliError(`The key ${visible(inspection.masked)} (${source}) ${problem}.`, {
      code: "WRONG_KEY",
      exit: "denied",
    });
  }
  return value;
}

async function sendBatch(
  { session, client, tally, positions }: Sending,
  batch: Batch,
  idempotencyKey: string,
): Promise<void> {
  // All attempts share the key, so a batch whose response was lost is stored once.
  const options = { idempotencyKey, signal: session.context.signal };
  const trySend = () => client.logs.sendLines(batch.body, options);
  try {
    tally.add(batch, await (positions ? untilTaken(session, trySend) : trySend()));
  } catch (error) {
    if (!(error instanceof SazabiApiError) || error.status !== 400 || error.issues.length === 0) throw error;
    // The whole batch was rejected; continue with the next one.
    tally.add(batch, refusedWhole(batch, error));
  }
}

const longestWaitSeconds = 30;

/** Retries without a limit while the service is unreachable or busy, because a followed file can wait. */
async function untilTaken<T>(session: Session, trySend: () => Promise<T>): Promise<T> {
  const { signal } = session.context;
  for (let tries = 1; ; tries++) {
    try {
      const taken = await trySend();
      if (tries > 1) session.say(`The service accepted it after ${tries} tries.`);
      return taken;
    } catch (error) {
      if (signal.aborted || !isPassing(error)) throw error;
      if (tries === 1) session.say(`${visible((error as Error).message)} Retrying until the service accepts it.`);
      const seconds = Math.min(2 ** (tries - 1), longestWaitSeconds);
      await sleep(seconds * 1000, undefined, { signal });
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof SazabiConnectionError) return !(error.cause instanceof CliError);
  return error instanceof SazabiApiError && (error.status === 429 || error.status >= 500);
}

function refusedWhole(batch: Batch, { issues }: SazabiApiError): IntakeResult {
  const rejected = issues.map(({ path, message }) => {
    const [, index = "0", field = ""] = /^logs\[(\d+)\]\.?(.*)$/.exec(path) ?? [];
    return { index: Number(index), field: field || path, message };
  });
  // A batch of the last run has no list of entries.
  return { accepted: 0, rejectedCount: batch.body.split("\n").filter(Boolean).length, rejected };
}

async function reportTally(session: Session, tally: Tally): Promise<void> {
  const { accepted, rejected } = tally;
  await session.result({ accepted, rejected }, () =>
    session.out(`${count(accepted)} accepted, ${count(rejected)} rejected`),
  );
  if (accepted > 0) session.remark(tally.sentEntries.queryHint(session.context.now(), searchOptions(session)));
  if (rejected > 0)
    throw new CliError(`${count(rejected)} of ${count(accepted + rejected)} lines were not accepted.`, {
      code: "REJECTED",
    });
}

/**
 * Returns the connection and project options that make the suggested query search the service that stored the entries.
 */
function searchOptions(session: Session): readonly string[] {
  const { profile, apiUrl, caFile } = session.flags;
  const { projectInUse } = session;
  const isOther = projectInUse?.source === "--project" && projectInUse.value !== session.project(undefined)?.value;
  const options = { profile, "api-url": apiUrl, "ca-file": caFile, project: isOther ? projectInUse.value : undefined };
  return Object.entries(options).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]));
}
