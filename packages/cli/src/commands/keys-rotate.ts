import { randomUUID } from "node:crypto";
import {
  type Created,
  type KeyKind,
  maskKey,
  maxGraceSeconds,
  parseDuration,
  parseKey,
  type Rotation,
  Sazabi,
  SazabiAdmin,
  SazabiApiError,
} from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import { receiveSecret } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import { type DeliveryOptions, deliveriesOf, namesDelivery, type SecretDelivery } from "../rotation/deliver-secret.ts";
import { keepInProfile } from "../rotation/profile.ts";
import {
  findUnfinished,
  forgetUnfinished,
  keepUnfinished,
  type UnfinishedRotation,
} from "../rotation/rotation-journal.ts";
import type { Session } from "../session.ts";
import { formatTime } from "../times.ts";
import { type AnyKey, endedAt, type FoundKey, findAmong, keysOf, type ProjectOption } from "./key-resolver.ts";

export interface RotateOptions extends ProjectOption, DeliveryOptions {
  readonly self?: boolean;
  readonly grace: string;
  readonly finish?: boolean;
  readonly cancel?: boolean;
  readonly idempotencyKey?: string;
  readonly yes?: boolean;
}

/** The key to rotate and its kind. */
interface Subject extends FoundKey {
  /** True with `--self`. */
  readonly isSelf: boolean;
}

/**
 * Rotates a key: creates a secret, delivers it, verifies it, and then ends the previous one. At every step a working
 * secret is deployed. After an interruption the same command resumes.
 */
export async function rotate(
  session: Session,
  kinds: readonly KeyKind[],
  ref: string | undefined,
  options: RotateOptions,
): Promise<void> {
  const grace = readGrace(options.grace);
  if (options.finish && options.cancel) throw usageError("--finish and --cancel exclude each other.");
  if (options.cancel && namesDelivery(options)) throw usageError("--cancel hands nothing over.");
  const subject = await findSubject(session, kinds, ref, options);
  if (options.cancel) return cancel(session, subject, options);
  if (options.finish && !namesDelivery(options)) return finish(session, subject, options);
  await rotateAndDeliver(session, subject, options, grace);
}

async function findSubject(
  session: Session,
  kinds: readonly KeyKind[],
  ref: string | undefined,
  options: RotateOptions,
): Promise<Subject> {
  if ((ref !== undefined) === (options.self === true)) {
    throw usageError("Which key?", "Name it by its id or name, or use --self for the key in use.");
  }
  if (options.self && !kinds.includes("secret")) throw usageError("The key in use is a secret key, not a public one.");
  const admin = await session.admin();
  if (ref === undefined) {
    const { key } = await admin.me({ signal: session.context.signal });
    return { keys: keysOf(session, admin, "secret", options), key, isSelf: true };
  }
  const match = await findAmong(session, admin, kinds, ref, options);
  if (endedAt(match.key)) {
    throw new CliError(`${titleOf(match)} was revoked, and a revoked key has no next secret.`, { code: "CONFLICT" });
  }
  return { ...match, isSelf: false };
}

/** Returns the grace period of the previous secret in seconds, counted from the verification of the new one. */
function readGrace(text: string): number {
  if (text === "0") return 0;
  const seconds = (parseDuration(text) ?? Number.NaN) / 1000;
  if (seconds <= maxGraceSeconds) return seconds;
  throw usageError(`Invalid --grace ${JSON.stringify(text)}.`, "Use 0, 90s, 30m, 1h, 7d; at most 30d.");
}

// --- rotate

/**
 * Until the new secret is verified, the previous one has the longest grace period, so an interrupted rotation locks
 * nobody out. A rerun within a day gets the same secret; later the rotation can be cancelled.
 */
const handOverGraceSeconds = maxGraceSeconds;

async function rotateAndDeliver(
  session: Session,
  subject: Subject,
  options: RotateOptions,
  grace: number,
): Promise<void> {
  const { keys, key } = subject;
  const handOvers = deliveriesOf(session, keys.kind, options);
  const replaced = {
    masks: [key.masked, ...(key.rotation ? [key.rotation.previousMasked] : [])],
    secret: options.self ? session.credential?.value : undefined,
  };
  for (const { check } of handOvers) check(replaced);
  const created = await begin(session, subject, options);
  const graceSeconds = options.finish ? 0 : grace;
  let standing = `The previous secret works until ${untilOf(created.rotation)}.`;
  try {
    for (const { deliver } of handOvers) await deliver(created.value, replaced);
    await prove(session, keys.kind, created);
    const profile = keys.kind === "secret" ? await keepNewSecret(session, created) : undefined;
    // With `--self`, the previous secret may have expired by now.
    const after = options.self ? keysOf(session, await adminOf(session, created.value), "secret", options) : keys;
    const rotation = await letGraceRun(session, { ...subject, keys: after }, graceSeconds, () => {
      standing =
        graceSeconds === 0
          ? "It is not known whether the previous secret still works."
          : `The previous secret works for ${options.grace} at least.`;
    });
    forgetUnfinished(session.context.configDirectory, key.id);
    await report(session, subject, created, handOvers, { profile, rotation });
  } catch (error) {
    throw await notFinished(session, error, created.id, standing);
  }
}

async function report(
  session: Session,
  subject: Subject,
  { value, ...created }: Created<AnyKey>,
  handOvers: readonly SecretDelivery[],
  end: { readonly profile: string | undefined; readonly rotation: Rotation | null },
): Promise<void> {
  const { kind } = subject.keys;
  const { profile = null, rotation } = end;
  const handedOver = handOvers.map(({ name }) => name);
  const isShown = handedOver.includes("stdout");
  const answer = { ...created, ...(isShown ? { value } : {}), type: kind, rotation, handedOver, profile };
  await session.result(answer, () => {
    const line = `Rotated ${titleOf(subject)}: ${visible(created.masked)}.`;
    // Stdout has only the secret.
    if (isShown) session.say(line);
    else session.out(line);
  });
  session.remark(
    rotation
      ? `To end the previous secret sooner: sazabi keys rotate ${created.id} --finish`
      : "The previous secret has ended.",
  );
}

/** Creates the new secret, or returns the secret of an unfinished rotation of this key. */
async function begin(session: Session, subject: Subject, options: RotateOptions): Promise<Created<AnyKey>> {
  const { keys, key } = subject;
  const { configDirectory } = session.context;
  const { rotation, resumed } = await noteBegin(configDirectory, options, {
    apiUrl: session.apiUrl.value,
    keyId: key.id,
    idempotencyKey: options.idempotencyKey ?? randomUUID(),
    graceSeconds: handOverGraceSeconds,
    startedAt: session.context.now().toISOString(),
  });
  if (resumed) session.say(`Continuing the rotation that was begun at ${formatTime(new Date(rotation.startedAt))}.`);
  let created: Created<AnyKey>;
  try {
    created = await keys.rotate(key.id, { graceSeconds: rotation.graceSeconds }, rotation.idempotencyKey);
  } catch (error) {
    if (isFinal(error, resumed)) forgetUnfinished(configDirectory, key.id);
    throw explainRotationConflict(error, subject);
  }
  const wayOut = `The key has two secrets now: \`sazabi keys rotate ${visible(key.id)} --cancel\` ends the new one.`;
  receiveSecret(session.context, created.value, wayOut);
  session.say(`New secret of ${titleOf(subject)}: ${visible(created.masked)}.`);
  // A repeated response may describe a rotation that was cancelled since. Its secret must not be delivered.
  const isRepeated = resumed || options.idempotencyKey !== undefined;
  if (!isRepeated || (await refusalOf(session, keys.kind, created))?.status !== 401) return created;
  forgetUnfinished(configDirectory, key.id);
  if (resumed) return begin(session, subject, options);
  throw new CliError("The secret of that rotation does not work any more: it was cancelled or replaced.", {
    code: "CONFLICT",
    hint: "Use another --idempotency-key to begin a new rotation.",
  });
}

/** Records the rotation. If it cannot be recorded, a rerun needs the caller's idempotency key. */
async function noteBegin(directory: string, options: RotateOptions, fresh: UnfinishedRotation) {
  try {
    return await keepUnfinished(directory, fresh);
  } catch (error) {
    if (!(error instanceof CliError) || error.code !== "CONFIG_NOT_WRITABLE") throw error;
    if (options.idempotencyKey !== undefined) return { rotation: fresh, resumed: false };
    throw new CliError(error.message, {
      code: error.code,
      hint:
        "What a rerun needs is kept there. Name another directory with SAZABI_CONFIG_DIR, or give --idempotency-key, " +
        "and the same one again in a rerun.",
      cause: error,
    });
  }
}

/** Returns true if the service created no secret under this idempotency key and will not create one. */
function isFinal(error: unknown, resumed: boolean): boolean {
  if (!(error instanceof SazabiApiError) || error.status >= 500) return false;
  // If the credential was rejected on a retry, an earlier attempt may have created the secret.
  return !resumed || error.status === 404 || error.status === 409;
}

function explainRotationConflict(error: unknown, { key }: Subject): unknown {
  if (!(error instanceof SazabiApiError) || error.status !== 409) return error;
  // Log-forwarding keys cannot be rotated; the service's message says what to do instead.
  if (error.message.includes("log-forwarding")) return error;
  const command = `sazabi keys rotate ${key.id}`;
  return new CliError(error.message, {
    code: error.code,
    hint: `\`${command} --finish\` keeps its new secret, \`${command} --cancel\` its previous one.`,
    cause: error,
  });
}

/** Reasons that concern the location of the caller. The service returns them only for a valid secret. */
const fences: readonly (string | undefined)[] = ["address_not_allowed", "origin_not_allowed"];

/** Verifies the new secret with a request to the service. */
async function prove(session: Session, kind: KeyKind, created: Created<AnyKey>): Promise<void> {
  const refusal = await refusalOf(session, kind, created);
  if (!refusal) return session.say("New secret verified.");
  if (!fences.includes(refusal.reason)) {
    throw new CliError(`The service does not accept the new secret: ${refusal.message}`, { code: "NOT_PROVEN" });
  }
  session.say(`The service recognizes the new secret, but rejects its use from here: ${visible(refusal.message)}`);
}

/** Returns the service's error for a request with this secret, or undefined if the secret is valid. */
async function refusalOf(
  session: Session,
  kind: KeyKind,
  { id, value }: Created<AnyKey>,
): Promise<SazabiApiError | undefined> {
  const { signal } = session.context;
  try {
    if (kind === "public") {
      const { logs } = new Sazabi({ publicKey: value, ...(await session.connection()) });
      await logs.send([], { signal });
    } else if ((await (await adminOf(session, value)).me({ signal })).key.id !== id) {
      throw new CliError("The service assigns the new secret to another key.", { code: "NOT_PROVEN" });
    }
    return undefined;
  } catch (error) {
    if (!(error instanceof SazabiApiError)) throw error;
    // The service accepted the public key and found no entry to store.
    if (kind === "public" && error.status === 400) return undefined;
    return error;
  }
}

/** Opens a client for `secretKey`. Unlike `session.openAdmin`, it does not change the key named in errors. */
async function adminOf(session: Session, secretKey: string): Promise<SazabiAdmin> {
  return new SazabiAdmin({ secretKey, clientSource: "cli", ...(await session.connection()) });
}

async function keepNewSecret(session: Session, created: Created<AnyKey>): Promise<string | undefined> {
  const profile = await keepInProfile(session, {
    keyId: created.id,
    value: created.value,
    masked: created.masked,
    previousMasked: created.rotation?.previousMasked,
  });
  if (profile !== undefined) session.say(`Profile ${profile} keeps the new secret, too.`);
  return profile;
}

/** Describes the uses of the previous secret, without the requests of this command. */
function usesInWords(session: Session, subject: Subject, rotation: Rotation): string {
  const { previousUses, previousLastUsedAt, previousLastUsedAddress } = rotation;
  const own = usesPreviousSecret(session, subject, rotation) ? session.usesOfCredential : 0;
  const others = Math.max(previousUses - own, 0);
  const besides = own > 0 ? `, not counting ${own} ${own === 1 ? "request" : "requests"} of this command` : "";
  if (others === 0 || !previousLastUsedAt) return `has not been used${besides}`;
  const times = others === 1 ? "once" : `${others} times`;
  // The last use was by this command.
  if (own > 0) return `was used ${times}${besides}`;
  const from = previousLastUsedAddress ? ` from ${visible(previousLastUsedAddress)}` : "";
  return `was used ${times}, last at ${formatTime(new Date(previousLastUsedAt))}${from}`;
}

/**
 * Returns true if the key in use is the previous secret. An imported key always is, because a rotation never creates an
 * imported key.
 */
function usesPreviousSecret(session: Session, { isSelf }: Subject, { previousMasked }: Rotation): boolean {
  const { value = "" } = session.credential ?? {};
  return parseKey(value) ? maskKey(value) === previousMasked : isSelf;
}

const untilOf = (rotation: Rotation | null) =>
  rotation ? formatTime(new Date(rotation.previousExpiresAt)) : "this moment";

/**
 * Reports the uses of the previous secret and starts its grace period. Returns null if the secret has already ended.
 */
async function letGraceRun(
  session: Session,
  subject: Subject,
  graceSeconds: number,
  beforeChange: () => void,
): Promise<Rotation | null> {
  const { keys, key } = subject;
  const { rotation } = await keys.get(key.id);
  if (!rotation) {
    session.say("The previous secret does not work any more.");
    return null;
  }
  session.say(`The previous secret ${visible(rotation.previousMasked)} ${usesInWords(session, subject, rotation)}.`);
  beforeChange();
  try {
    const { rotation: running } = await keys.finishRotation(key.id, graceSeconds || undefined);
    if (running) session.say(`It works until ${untilOf(running)}.`);
    return running;
  } catch (error) {
    // The previous secret has already ended.
    if (error instanceof SazabiApiError && error.status === 409) return null;
    throw error;
  }
}

async function notFinished(session: Session, error: unknown, id: string, standing: string): Promise<CliError> {
  const next = `${standing} Run the same command again to resume, or \`sazabi keys rotate ${id} --cancel\` to cancel it.`;
  if (session.context.signal.aborted) session.say(`The rotation is not finished. ${next}`);
  const { explain } = await import("../error-message.ts");
  const { exit, code, message, hint } = explain(error, session);
  return new CliError(message, { exit, code, hint: hint ? `${hint} ${next}` : next, cause: error });
}

// --- finish, cancel

async function finish(session: Session, subject: Subject, options: RotateOptions): Promise<void> {
  const { keys, key } = subject;
  const { configDirectory } = session.context;
  const unfinished = findUnfinished(configDirectory, session.apiUrl.value, key.id, session.context.now());
  if (unfinished) {
    throw new CliError("The new secret has not been delivered: that rotation was interrupted.", {
      code: "CONFLICT",
      hint: `Run the rotation again, with --exec, --env-file or --stdout, or \`sazabi keys rotate ${key.id} --cancel\`.`,
    });
  }
  if (!key.rotation) throw notUnderWay(subject);
  const { previousMasked } = key.rotation;
  session.say(
    `The previous secret ${visible(previousMasked)} ${usesInWords(session, subject, key.rotation)}; it works until ${untilOf(key.rotation)}.`,
  );
  await confirm(
    session,
    options,
    `End the previous secret of ${titleOf(subject)}? Clients that still use it stop working.`,
  );
  await session.result(await keys.finishRotation(key.id, undefined), () =>
    session.out(`Finished the rotation of ${titleOf(subject)}: only ${visible(key.masked)} works.`),
  );
}

async function cancel(session: Session, subject: Subject, options: RotateOptions): Promise<void> {
  const { keys, key } = subject;
  const forget = () => forgetUnfinished(session.context.configDirectory, key.id);
  if (!key.rotation) {
    forget();
    throw notUnderWay(subject);
  }
  const { previousMasked } = key.rotation;
  const isInUse = keys.kind === "secret" && maskKey(session.credential?.value ?? "") === key.masked;
  if (isInUse && !options.yes) {
    throw new CliError(`The key in use is the new secret, ${visible(key.masked)}, which this would end.`, {
      code: "CONFLICT",
      hint: `Use the previous one, ${visible(previousMasked)}, to cancel; or --yes, if somebody has it.`,
    });
  }
  await confirm(session, options, `End the new secret of ${titleOf(subject)}, ${visible(key.masked)}?`);
  const restored = await keys.cancelRotation(key.id);
  forget();
  await session.result(restored, () =>
    session.out(`Cancelled the rotation of ${titleOf(subject)}: only ${visible(previousMasked)} works.`),
  );
}

function notUnderWay(subject: Subject): CliError {
  return new CliError(`No rotation of ${titleOf(subject)} is under way.`, { code: "CONFLICT" });
}

async function confirm(session: Session, { yes }: RotateOptions, question: string): Promise<void> {
  if (!session.asksForLeave(yes)) return;
  const prompt = await session.context.openPrompt();
  if (!(await prompt.confirm(question))) throw new CliError("Nothing was changed.", { code: "CANCELLED" });
}

const titleOf = ({ keys, key }: FoundKey) => `${keys.kind} key "${visible(key.name)}" (${key.id})`;
