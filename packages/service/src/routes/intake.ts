import { createHash } from "node:crypto";
import { type IntakeResult, intakeLimits, type Rejection } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { ApiError } from "../errors.ts";
import { type HttpEnv, header } from "../http/context.ts";
import { fromAnyPage, preflight } from "../http/cross-origin.ts";
import { readIdempotencyKey } from "../http/idempotency.ts";
import { okEnvelope } from "../http/respond.ts";
import { readIntakeBody } from "../logs/body.ts";
import { type NormalisedEntry, normaliseEntry } from "../logs/entry.ts";
import type { LogBatch } from "../logs/store.ts";
import type { Services } from "../services.ts";

/** `POST /logs`: answered 202 when the entries are committed, and not before. */
export const intakeRoutes = ({ logs, logRetentionDays, guards: { publicKey } }: Services) =>
  new Hono<HttpEnv>().options("/", preflight).post(
    "/",
    fromAnyPage(
      publicKey("logs.send", async (c, { projectNumber }) => {
        const idempotencyKey = readIdempotencyKey(c);
        const hash = idempotencyKey === undefined ? undefined : createHash("sha256");
        const body = await readIntakeBody(hash ? hashing(c.env.incoming, hash) : c.env.incoming, {
          contentType: header(c, "content-type"),
          contentEncoding: header(c, "content-encoding"),
          contentLength: header(c, "content-length"),
        });
        const verdicts = judge(body, Date.now(), logRetentionDays * 86_400_000);
        if (verdicts.entries.length === 0) throw noneGood(verdicts.rejected, verdicts.rejectedCount);
        const batch: LogBatch = {
          projectNumber,
          entries: verdicts.entries,
          bytes: verdicts.bytes,
          result: resultOf(verdicts),
          ...(idempotencyKey !== undefined &&
            hash && { idempotency: { key: idempotencyKey, bodyHash: hash.digest() } }),
        };
        return okEnvelope(c, await logs.append(batch), 202);
      }),
    ),
  );

interface Verdicts {
  readonly entries: NormalisedEntry[];
  readonly rejected: Rejection[];
  readonly rejectedCount: number;
  readonly bytes: number;
}

/** Each entry's own verdict: a bad one costs its neighbours nothing. */
function judge(body: Awaited<ReturnType<typeof readIntakeBody>>, arrivedAtMs: number, retentionMs: number): Verdicts {
  const entries: NormalisedEntry[] = [];
  const rejected: Rejection[] = [...body.rejected];
  let bytes = 0;
  for (const { index, value } of body.entries) {
    const verdict = normaliseEntry(value, arrivedAtMs, retentionMs);
    if ("rejected" in verdict) {
      rejected.push({ index, ...verdict.rejected });
    } else {
      entries.push(verdict);
      bytes += verdict.bytes;
    }
  }
  rejected.sort((a, b) => a.index - b.index);
  return { entries, rejected: rejected.slice(0, intakeLimits.rejectionsListed), rejectedCount: rejected.length, bytes };
}

function resultOf({ entries, rejected, rejectedCount }: Verdicts): IntakeResult {
  return rejectedCount === 0 ? { accepted: entries.length } : { accepted: entries.length, rejectedCount, rejected };
}

function noneGood(rejected: readonly Rejection[], rejectedCount: number): ApiError {
  const first = rejected[0];
  return new ApiError(
    "VALIDATION_ERROR",
    first
      ? `None of the ${rejectedCount} entries can be stored. The first: ${first.field || "entry"} ${first.message}`
      : "The body holds no log entry.",
    {
      issues: rejected.map(({ index, field, message }) => ({
        path: field ? `logs[${index}].${field}` : `logs[${index}]`,
        message,
      })),
    },
  );
}

async function* hashing(body: AsyncIterable<Buffer>, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of body) {
    hash.update(chunk);
    yield chunk;
  }
}
