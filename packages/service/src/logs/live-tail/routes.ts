import {
  allOf,
  anyOf,
  type ConditionField,
  containsText,
  equalsText,
  everything,
  parseQuery,
  type QueryNode,
  storable,
  type TailEnd,
  type TailedLog,
} from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import { inTurn } from "../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../errors.ts";
import type { HttpEnv } from "../../http/context.ts";
import { type EventStream, openEventStream, RESPONSE_ALREADY_SENT } from "../../http/event-stream.ts";
import { assertStillAllowed } from "../../http/guards.ts";
import { readJsonParameter, readQuery } from "../../http/request.ts";
import { readProject } from "../../projects/project-scope.ts";
import type { StoredLog } from "../log-store.ts";
import { isoOfMicros } from "../time.ts";
import type { Tail } from "./tail.ts";

const names = z.array(z.string().max(200)).max(100);

const tailFilters = z.strictObject({
  severities: names.optional(),
  services: names.optional(),
  environments: names.optional(),
  searchTerm: z.string().max(2000).optional(),
  traceId: z.string().max(200).optional(),
  attributes: z
    .record(z.string().min(1).max(200), z.string().max(2000))
    .refine((attributes) => Object.keys(attributes).length <= 50, "must have at most 50 members")
    .optional(),
});

const tailQuery = z.strictObject({
  projectId: z.uuid().optional(),
  filters: z.string().max(8192).optional(),
  query: z.string().max(4096).optional(),
  cursor: z
    .string()
    .regex(/^\d{1,18}$/, "must be the id of an event of an earlier tail")
    .optional(),
});

/** Characters of JSON. */
const maxFrame = 256 * 1024;
const smallFrame = 16 * 1024;
const heartbeatEveryMs = 15_000;
/** A key that was revoked has its tails ended within this time, also where there is nothing to tell. */
const recheckEveryMs = 500;

/** `GET /tail`: what is committed in a project from now on, or since the cursor, as Server-Sent Events. */
export const tailRoutes = ({ db, tails, guards: { secretKeyStream } }: AppContext) =>
  new Hono<HttpEnv>().get(
    "/",
    secretKeyStream("logs.tail", "read:logs", async (c, caller) => {
      const { projectId, filters, query, cursor } = readQuery(c, tailQuery);
      const wanted = allOf([readFilters(filters), parseQuery(query ?? "").ast]);
      const project = await readProject(db, caller, projectId);
      const after = cursor === undefined ? undefined : BigInt(cursor);
      const { keyId, organizationId } = caller;
      const tail = await tails.open({ keyId, organizationId, projectNumber: project.number, query: wanted, after });
      await stream(openEventStream(c), tail, async () => assertStillAllowed(c));
      return RESPONSE_ALREADY_SENT;
    }),
  );

/** Until the client leaves, the key dies, or the store cannot be read: then the client comes back with its cursor. */
async function stream(events: EventStream, tail: Tail, recheck: () => Promise<void>): Promise<void> {
  const cursor = { sent: -1n, isWaiting: false };
  const positionFrame = () => {
    cursor.sent = tail.position;
    return frameOf("position", cursor.sent, "{}");
  };
  const end = () => {
    tail.close();
    events.end();
  };
  // Also what waits in the connection's buffer was written for a key that had the right then.
  const cutOff = () => events.destroy();
  const rechecks = setInterval(() => void recheck().catch(cutOff), recheckEveryMs);
  const heartbeats = setInterval(() => {
    if (!events.isReady) return;
    // Also a tail that finds nothing moves on: its reader need not begin far behind when it comes back.
    const hasMoved = cursor.isWaiting && cursor.sent !== tail.position;
    void events.send(`: ping\n\n${hasMoved ? positionFrame() : ""}`);
  }, heartbeatEveryMs);
  tail.cutOff.addEventListener("abort", cutOff, { once: true });
  if (events.ended.aborted) end();
  else events.ended.addEventListener("abort", end, { once: true });
  try {
    await events.send(positionFrame());
    for (;;) {
      cursor.isWaiting = true;
      const logs = await tail.next();
      cursor.isWaiting = false;
      if (!logs) break;
      await sendLogs(events, tail, { logs, recheck });
      cursor.sent = BigInt((logs.at(-1) as StoredLog).position.id);
    }
  } catch (error) {
    // Anything else cannot be answered any more; the reader comes back with its cursor, and is answered why.
    if (isBudgetError(error)) await events.send(endFrame(tail, error));
    else cutOff();
  } finally {
    clearInterval(rechecks);
    clearInterval(heartbeats);
    end();
  }
}

/** In frames of a bounded size; a single entry may be larger. */
async function sendLogs(
  events: EventStream,
  tail: Tail,
  { logs, recheck }: { readonly logs: readonly StoredLog[]; readonly recheck: () => Promise<void> },
): Promise<void> {
  for (const frame of logFrames(logs)) {
    tail.setBuffered(2 * frame.length);
    // Not only now and then: after a revocation was answered, nothing more is sent.
    await recheck();
    await events.send(frame);
    if (events.ended.aborted) return;
    // Many tails may have been handed something at the same time.
    if (frame.length > smallFrame) await inTurn();
  }
}

function isBudgetError(error: unknown): error is ApiError {
  return error instanceof ApiError && error.options.reason === "tail_budget_exceeded";
}

function readFilters(text: string | undefined): QueryNode {
  if (text === undefined) return everything;
  const filters = readJsonParameter(text, tailFilters, "filters");
  const oneOf = (field: ConditionField, values: readonly string[] | undefined) =>
    values?.length ? anyOf(values.map((value) => equalsText(field, storable(value)))) : everything;
  return allOf([
    oneOf("level", filters.severities),
    oneOf({ column: "service" }, filters.services),
    oneOf({ column: "environment" }, filters.environments),
    oneOf({ column: "trace_id" }, filters.traceId ? [filters.traceId] : undefined),
    containsText(storable(filters.searchTerm ?? "")),
    ...Object.entries(filters.attributes ?? {}).map(([key, value]) =>
      equalsText({ attribute: storable(key) }, storable(value)),
    ),
  ]);
}

function* logFrames(logs: readonly StoredLog[]): Generator<string> {
  let entries: string[] = [];
  let length = 0;
  for (const [index, log] of logs.entries()) {
    const entry = JSON.stringify(toTailed(log));
    if (entries.length > 0 && length + entry.length > maxFrame) {
      yield logFrame(entries, logs[index - 1] as StoredLog);
      entries = [];
      length = 0;
    }
    entries.push(entry);
    length += entry.length;
  }
  yield logFrame(entries, logs.at(-1) as StoredLog);
}

/** A `TailFrame`. */
function logFrame(entries: readonly string[], last: StoredLog): string {
  const data = `{"type":"logs","timestamp":"${new Date().toISOString()}","data":[${entries.join(",")}]}`;
  return frameOf("log", last.position.id, data);
}

/** The reader does not come back by itself: its tail would end again. */
function endFrame(tail: Tail, { code, options: { reason }, message }: ApiError): string {
  return frameOf("end", tail.position, JSON.stringify({ code, reason, message } satisfies TailEnd));
}

function frameOf(event: string, id: bigint | string, data: string): string {
  return `event: ${event}\nid: ${id}\ndata: ${data}\n\n`;
}

function toTailed({
  position,
  level,
  message,
  service,
  traceId,
  spanId,
  environment,
  attributes,
}: StoredLog): TailedLog {
  const texts = Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, String(value)]));
  const first = (...keys: readonly string[]) => keys.map((key) => texts[key]).find((text) => text !== undefined) ?? "";
  return {
    id: position.id,
    timestamp: isoOfMicros(position.micros),
    severity: level.toUpperCase(),
    body: message,
    service,
    traceId: traceId ?? "",
    spanId: spanId ?? "",
    attributes: texts,
    resource: {
      service,
      namespace: first("service.namespace"),
      environment: environment ?? "",
      host: first("host.name", "host", "hostname"),
      container: first("container.name", "k8s.container.name"),
      pod: first("k8s.pod.name"),
    },
  };
}
