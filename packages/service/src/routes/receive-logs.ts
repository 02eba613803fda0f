import { createHash } from "node:crypto";
import { type IntakeResult, intakeLimits, type Rejection } from "@sazabi/sdk/protocol";
import { assertStillAllowed, type PublicCaller } from "../auth/authenticate.ts";
import { ApiError } from "../errors.ts";
import { type HttpContext, header } from "../http/context.ts";
import { findCredential, missingKey } from "../http/credential.ts";
import { fromAnyPage } from "../http/cross-origin.ts";
import { readIdempotencyKey } from "../http/idempotency.ts";
import { inTurn } from "../http/in-turn.ts";
import { conflictingCredentials } from "../http/request-head.ts";
import { type IntakeBody, readBodyBytes } from "../logs/body.ts";
import { type NormalisedEntry, normaliseEntry } from "../logs/entry.ts";
import { keyAttribute } from "../logs/entry-names.ts";
import { isProtobuf } from "../logs/formats/media-type.ts";
import type { LogBatch, StoredResult } from "../logs/store.ts";
import type { Services } from "../services.ts";

/** A way to speak to the intake. All of them go down one path: what differs is the body and the answer. */
export interface Dialect<Body extends IntakeBody = IntakeBody> {
  /** By what the headers say of the body; throws 415 where they say something else than the dialect takes. */
  readonly formatOf: (c: HttpContext) => (bytes: Buffer) => Body;
  /** Made when what was accepted is committed. */
  readonly answer: (c: HttpContext, outcome: Outcome<Body>) => Response;
  /** OTLP may come: in protobuf, which is answered in protobuf, and with the key in the body. */
  readonly takesOtlp?: true;
  /** Answered, not refused, when no entry is good. */
  readonly answersAllRejected?: true;
}

interface Outcome<Body> {
  readonly result: IntakeResult;
  readonly body: Body;
  /** All of them, in order; `result` lists the first. */
  readonly rejected: readonly Rejection[];
  /** What was stored before, by places in the body. */
  readonly repeated: ReadonlySet<number>;
}

/** Makes handlers that answer when the entries are committed, and not before. */
export function logReceiver({ logs, retentions, now, guards: { publicKey } }: Services) {
  async function store<Body extends IntakeBody>(
    c: HttpContext,
    dialect: Dialect<Body>,
    caller: PublicCaller,
    read: ReadBody<Body>,
  ): Promise<Response> {
    const { body } = read;
    const maxAgeMs = await retentions.maxAgeMs(caller.projectNumber);
    // A body may have taken its time: the key may have been revoked since it began.
    await assertStillAllowed(c);
    const begun = begin(dialect, caller, read, maxAgeMs);
    const { repeated, ...result } = await begun.stored;
    return dialect.answer(c, {
      result,
      body,
      rejected: begun.rejected,
      repeated: new Set(repeated?.map((place) => begun.places[place] as number)),
    });
  }

  /** Not in `store`: what a function has in hand when it waits, it keeps until it goes on. */
  function begin<Body extends IntakeBody>(
    dialect: Dialect<Body>,
    { projectNumber, keyId }: PublicCaller,
    { body, idempotency }: ReadBody<Body>,
    maxAgeMs: number,
  ): Begun {
    const { entries, places, bytes, rejected } = judge(body, now(), maxAgeMs);
    const result = resultOf(entries.length, rejected);
    if (entries.length === 0) {
      if (!dialect.answersAllRejected && (rejected.length > 0 || !body.isOtlp)) throw noneGood(rejected);
      return { stored: Promise.resolve(result), rejected, places };
    }
    const stored = logs.append({
      projectNumber,
      entries,
      bytes,
      result,
      ...(idempotency && { idempotency: { ...idempotency, key: ofCaller(keyId, idempotency.key) } }),
    });
    return { stored, rejected, places };
  }

  return <Body extends IntakeBody>(dialect: Dialect<Body>) => {
    const guarded = publicKey(
      "logs.send",
      async (c, caller) => {
        const read = await readBody(c, dialect);
        const inBody = read.body.credential?.key;
        if (inBody !== undefined && inBody !== findCredential(c, "public")) throw conflictingCredentials();
        return store(c, dialect, caller, read);
      },
      async (c, admit) => {
        if (!dialect.takesOtlp || !mayHoldKey(c)) throw missingKey("public");
        const read = await readBody(c, dialect, refuseWithoutKey);
        const { credential } = read.body;
        if (!credential) throw missingKey("public");
        if (!credential.coversAll) throw partlyKeyless();
        return admit(credential.key, (c, caller) => store(c, dialect, caller, read));
      },
    );
    return fromAnyPage((c) => {
      if (dialect.takesOtlp && isProtobuf(bareType(c))) c.env.answersProtobuf = true;
      return guarded(c);
    });
  };
}

interface Begun {
  readonly stored: Promise<StoredResult>;
  readonly rejected: readonly Rejection[];
  /** Where in the body the accepted entries were. */
  readonly places: readonly number[];
}

/** Without the bytes: they would wait for the commit, too. */
interface ReadBody<Body> {
  readonly body: Body;
  readonly idempotency: LogBatch["idempotency"] | undefined;
}

/** Bytes: taking it apart, and its entries, takes longer than waiting for a turn. */
const worthATurn = 16 * 1024;

async function readBody<Body extends IntakeBody>(
  c: HttpContext,
  dialect: Dialect<Body>,
  look?: (bytes: Buffer) => void,
): Promise<ReadBody<Body>> {
  const key = readIdempotencyKey(c);
  const format = dialect.formatOf(c);
  const { sent, decompressed } = await readBodyBytes(c.env.incoming, {
    contentEncoding: header(c, "content-encoding"),
    contentLength: header(c, "content-length"),
  });
  look?.(decompressed);
  if (decompressed.length > worthATurn) await inTurn();
  const idempotency = key === undefined ? undefined : { key, bodyHash: createHash("sha256").update(sent).digest() };
  return { body: format(decompressed), idempotency };
}

/** An `Idempotency-Key` is its caller's own: nobody who has another key of the project can use it up. */
function ofCaller(keyId: string, idempotencyKey: string): string {
  return createHash("sha256").update(`${keyId} ${idempotencyKey}`).digest("base64url");
}

/** Whoever sends no key at all does not get a body taken apart. */
function refuseWithoutKey(bytes: Buffer): void {
  if (!bytes.includes(keyAttribute)) throw missingKey("public");
}

/** Of the types that a key comes in; others are refused unread. */
function mayHoldKey(c: HttpContext): boolean {
  const type = bareType(c);
  return type === "" || type.endsWith("json") || isProtobuf(type);
}

function bareType(c: HttpContext): string {
  return (header(c, "content-type") ?? "").split(";", 1)[0]?.trim().toLowerCase() as string;
}

interface Verdicts {
  readonly entries: NormalisedEntry[];
  readonly places: number[];
  readonly rejected: Rejection[];
  readonly bytes: number;
}

/** Each entry's own verdict: a bad one costs its neighbours nothing. */
function judge(body: IntakeBody, arrivedAtMs: number, retentionMs: number): Verdicts {
  const entries: NormalisedEntry[] = [];
  const places: number[] = [];
  const rejected: Rejection[] = [...body.rejected];
  let bytes = 0;
  for (const { index, value, uid } of body.entries.splice(0)) {
    const verdict = normaliseEntry(value, arrivedAtMs, retentionMs);
    if ("rejected" in verdict) {
      rejected.push({ index, ...verdict.rejected });
    } else {
      entries.push(uid === undefined ? verdict : { ...verdict, uid });
      places.push(index);
      bytes += verdict.bytes;
    }
  }
  rejected.sort((a, b) => a.index - b.index);
  return { entries, places, rejected, bytes };
}

function resultOf(accepted: number, rejected: readonly Rejection[]): IntakeResult {
  if (rejected.length === 0) return { accepted };
  return { accepted, rejectedCount: rejected.length, rejected: rejected.slice(0, intakeLimits.rejectionsListed) };
}

function noneGood(rejected: readonly Rejection[]): ApiError {
  const first = rejected[0];
  return new ApiError(
    "VALIDATION_ERROR",
    first
      ? `None of the ${rejected.length} entries can be stored. The first: ${first.field || "entry"} ${first.message}`
      : "The body holds no log entry.",
    {
      issues: rejected.slice(0, intakeLimits.rejectionsListed).map(({ index, field, message }) => ({
        path: field ? `logs[${index}].${field}` : `logs[${index}]`,
        message,
      })),
    },
  );
}

function partlyKeyless(): ApiError {
  return new ApiError(
    "VALIDATION_ERROR",
    `Some resources of this request carry ${keyAttribute} and some do not. Send the key in the header x-sazabi-key, or in each.`,
    { reason: "missing_api_key" },
  );
}
