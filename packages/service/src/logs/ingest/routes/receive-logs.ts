import { createHash, type Hash } from "node:crypto";
import { type IntakeResult, intakeLimits, type Rejection } from "@sazabi/sdk/protocol";
import type { AppContext } from "../../../app-context.ts";
import type { PublicCaller } from "../../../auth/caller.ts";
import { FairGate, TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../../errors.ts";
import type { BodyReservation } from "../../../http/body-budget.ts";
import { clientAddress, type HttpContext, header, reserveBody } from "../../../http/context.ts";
import { findCredential, missingKey } from "../../../http/credential.ts";
import { fromAnyPage } from "../../../http/cross-origin.ts";
import { assertStillAllowed, type KeylessRequest } from "../../../http/guards.ts";
import { readIdempotencyKey } from "../../../http/idempotency.ts";
import { conflictingCredentials } from "../../../http/request-head.ts";
import type { LogBatch, StoredResult } from "../../log-store.ts";
import { type Format, type IntakeBody, readBodyBytes, tooLarge, tooLargeWithoutKey } from "../body.ts";
import { type NormalisedEntry, normaliseEntry } from "../entry.ts";
import { keyAttribute } from "../entry-names.ts";
import { isProtobuf } from "../formats/media-type.ts";
import { answerInProtobuf } from "./otlp-response.ts";

/** A way to speak to the intake. All of them go down one path: what differs is the body and the answer. */
export interface Dialect<Body extends IntakeBody = IntakeBody> {
  /** By what the headers say of the body; throws 415 where they say something else than the dialect takes. */
  readonly formatOf: (c: HttpContext) => Format<Body>;
  /** Made when what was accepted is committed. */
  readonly answer: (c: HttpContext, outcome: Outcome<Body>) => Response;
  /** OTLP may come: in protobuf, which is answered in protobuf, and with the key in the body. */
  readonly takesOtlp?: true;
  /** Answered, not refused, when no entry is good. */
  readonly answersAllRejected?: true;
  /** The answer repeats what was sent, which stays in memory until then. */
  readonly repeatsBody?: true;
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
export function logReceiver({ logs, intakeMeter, retentions, now, guards: { publicKey } }: AppContext) {
  async function receive<Body extends IntakeBody>(
    c: HttpContext,
    dialect: Dialect<Body>,
    caller: PublicCaller,
  ): Promise<Response> {
    const work = new BodyWork(c, caller.projectId);
    try {
      const bytes = await work.read(intakeLimits.bodyBytes, tooLarge);
      intakeMeter.take(caller.projectNumber, work.bytes);
      const body = await work.takeApart(bytes, dialect.formatOf(c));
      const inBody = body.credential?.key;
      if (inBody !== undefined && inBody !== findCredential(c, "public")) throw conflictingCredentials();
      return await store(work, dialect, caller, body);
    } finally {
      work.end();
    }
  }

  /** The key is in the body, which is read within narrow limits, and taken apart only when it can hold one. */
  async function receiveKeyless<Body extends IntakeBody>(
    c: HttpContext,
    dialect: Dialect<Body>,
    keyless: KeylessRequest,
  ): Promise<Response> {
    if (!dialect.takesOtlp || !mayHoldKey(c)) throw missingKey("public");
    keyless.refuseTooMany();
    const work = new BodyWork(c, clientAddress(c));
    try {
      const { key, body } = await readKeyless(c, dialect, work).catch((error: unknown) => {
        if (!isOverload(error)) keyless.countFailure();
        throw error;
      });
      return await keyless.admit(key, (_, caller) => {
        intakeMeter.take(caller.projectNumber, work.bytes);
        return store(work, dialect, caller, body);
      });
    } finally {
      work.end();
    }
  }

  async function store<Body extends IntakeBody>(
    work: BodyWork,
    dialect: Dialect<Body>,
    caller: PublicCaller,
    body: Body,
  ): Promise<Response> {
    const maxAgeMs = await retentions.maxAgeMs(caller.projectNumber);
    const begun = await begin(work, dialect, caller, body, maxAgeMs);
    const { repeated, ...result } = await begun.stored;
    return dialect.answer(work.c, {
      result,
      body,
      rejected: begun.rejected,
      repeated: new Set(repeated?.map((place) => begun.places[place] as number)),
    });
  }

  /** Not in `store`: a function that waits keeps its variables alive, and the entries are large. */
  async function begin<Body extends IntakeBody>(
    work: BodyWork,
    dialect: Dialect<Body>,
    { projectNumber, keyId }: PublicCaller,
    body: Body,
    maxAgeMs: number,
  ): Promise<Begun> {
    const { entries, places, bytes, rejected } = await judge(body, work.slices, now(), maxAgeMs);
    const result = resultOf(entries.length, rejected);
    // The body may have taken its time: the key may have been revoked since it began.
    await work.assertStillAllowed();
    if (entries.length === 0) {
      if (!dialect.answersAllRejected && (rejected.length > 0 || !body.isOtlp)) throw noneGood(rejected);
      return { stored: Promise.resolve(result), rejected, places };
    }
    // What entries share was sent once, and is stored with each of them.
    if (bytes > work.bytes) intakeMeter.add(projectNumber, bytes - work.bytes);
    const { idempotency } = work;
    const stored = logs.append(
      {
        projectNumber,
        entries,
        bytes,
        result,
        ...(idempotency && { idempotency: { ...idempotency, key: ofCaller(keyId, idempotency.key) } }),
      },
      {
        slices: work.slices,
        onQueued: () => (dialect.repeatsBody ? work.leaveGate() : work.end()),
        assertStillAllowed: work.assertStillAllowed,
      },
    );
    return { stored, rejected, places };
  }

  return <Body extends IntakeBody>(dialect: Dialect<Body>) => {
    const guarded = publicKey(
      "logs.send",
      (c, caller) => receive(c, dialect, caller),
      (c, keyless) => receiveKeyless(c, dialect, keyless),
    );
    return fromAnyPage((c) => {
      if (dialect.takesOtlp && isProtobuf(bareType(c))) answerInProtobuf(c);
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

/** In bytes. A longer body is taken apart in slices of time. */
const shortBody = 16 * 1024;
const mediumBody = 1024 * 1024;
/** One body of each size is taken apart at a time: as values it takes many times the memory of its bytes. */
const mediumGate = new FairGate();
const largeGate = new FairGate();

/** A body from its first byte until its entries are queued, and what it holds meanwhile. */
class BodyWork {
  readonly slices = new TimeSlices();
  readonly c: HttpContext;
  /** Of the body, decompressed. */
  bytes = 0;
  idempotency: LogBatch["idempotency"] | undefined;
  readonly #sender: string;
  readonly #reservation: BodyReservation;
  #leaveGate: (() => void) | undefined;

  constructor(c: HttpContext, sender: string) {
    this.c = c;
    this.#sender = sender;
    this.#reservation = reserveBody(c);
  }

  readonly assertStillAllowed = () => assertStillAllowed(this.c);

  async read(maxBytes: number, tooLarge: () => ApiError): Promise<Buffer> {
    const key = readIdempotencyKey(this.c);
    const hash = key === undefined ? undefined : createHash("sha256");
    const headers = {
      contentEncoding: header(this.c, "content-encoding"),
      contentLength: header(this.c, "content-length"),
    };
    const bytes = await readBodyBytes(this.c.env.incoming, headers, {
      reservation: this.#reservation,
      maxBytes,
      tooLarge,
      onSent: hash && ((chunk) => hash.update(chunk)),
    });
    if (key !== undefined) this.idempotency = { key, bodyHash: (hash as Hash).digest() };
    this.bytes = bytes.length;
    return bytes;
  }

  async takeApart<Body>(bytes: Buffer, format: Format<Body & IntakeBody>): Promise<Body> {
    if (bytes.length > shortBody) {
      const gate = bytes.length > mediumBody ? largeGate : mediumGate;
      this.#leaveGate = await gate.enter(this.#sender);
      await this.slices.next();
    }
    return format(bytes, this.slices);
  }

  /** The next body may be taken apart. It may be called again. */
  leaveGate(): void {
    this.#leaveGate?.();
    this.#leaveGate = undefined;
  }

  /** Gives the memory of the body back, too. It may be called again. */
  end(): void {
    this.leaveGate();
    this.#reservation.release();
  }
}

/** An `Idempotency-Key` is its caller's own: nobody who has another key of the project can use it up. */
function ofCaller(keyId: string, idempotencyKey: string): string {
  return createHash("sha256").update(`${keyId} ${idempotencyKey}`).digest("base64url");
}

/** Nothing was wrong with the request. */
function isOverload(error: unknown): boolean {
  return error instanceof ApiError && (error.code === "UNAVAILABLE" || error.code === "RATE_LIMIT_EXCEEDED");
}

async function readKeyless<Body extends IntakeBody>(
  c: HttpContext,
  dialect: Dialect<Body>,
  work: BodyWork,
): Promise<{ readonly key: string; readonly body: Body }> {
  const format = dialect.formatOf(c);
  const bytes = await work.read(intakeLimits.keylessBodyBytes, tooLargeWithoutKey);
  // Whoever sends no key at all does not get a body taken apart.
  if (!bytes.includes(keyAttribute)) throw missingKey("public");
  const body = await work.takeApart(bytes, format);
  if (!body.credential) throw missingKey("public");
  if (!body.credential.coversAll) throw partlyKeyless();
  return { key: body.credential.key, body };
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
async function judge(
  body: IntakeBody,
  slices: TimeSlices,
  arrivedAtMs: number,
  retentionMs: number,
): Promise<Verdicts> {
  const entries: NormalisedEntry[] = [];
  const places: number[] = [];
  const rejected: Rejection[] = [...body.rejected];
  let bytes = 0;
  for (const { index, value, uid } of body.entries.splice(0)) {
    const verdict = normaliseEntry(value, arrivedAtMs, retentionMs);
    let size = workOfARefusal;
    if ("rejected" in verdict) {
      rejected.push({ index, ...verdict.rejected });
    } else {
      entries.push(uid === undefined ? verdict : { ...verdict, uid });
      places.push(index);
      bytes += verdict.bytes;
      size = verdict.bytes;
    }
    const wait = slices.spend(size);
    if (wait) await wait;
  }
  rejected.sort((a, b) => a.index - b.index);
  return { entries, places, rejected, bytes };
}

/** What it costs to refuse an entry that has too much of something, in characters. */
const workOfARefusal = 4 * 1024;

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
