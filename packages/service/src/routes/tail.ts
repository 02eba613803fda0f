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
  type TailedLog,
  type TailFrame,
} from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import { assertStillAllowed } from "../auth/authenticate.ts";
import type { HttpEnv } from "../http/context.ts";
import { type EventStream, openEventStream, RESPONSE_ALREADY_SENT } from "../http/event-stream.ts";
import { readProject } from "../http/project.ts";
import { readJsonParameter, readQuery } from "../http/request.ts";
import type { StoredLog } from "../logs/store.ts";
import type { Tail } from "../logs/tails.ts";
import { isoOfMicros } from "../logs/time.ts";
import type { Services } from "../services.ts";

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

const heartbeatEveryMs = 15_000;
/** A key that was revoked has its tails ended within this time, also where there is nothing to tell. */
const recheckEveryMs = 500;

/** `GET /tail`: what is committed in a project from now on, or since the cursor, as Server-Sent Events. */
export const tailRoutes = ({ db, tails, guards: { secretKeyStream } }: Services) =>
  new Hono<HttpEnv>().get(
    "/",
    secretKeyStream("logs.tail", "read:logs", async (c, caller) => {
      const { projectId, filters, query, cursor } = readQuery(c, tailQuery);
      const wanted = allOf([readFilters(filters), parseQuery(query ?? "").ast]);
      const project = await readProject(db, caller, projectId);
      const after = cursor === undefined ? undefined : BigInt(cursor);
      const tail = await tails.open({ keyId: caller.keyId, projectNumber: project.number, query: wanted, after });
      await stream(openEventStream(c), tail, async () => assertStillAllowed(c));
      return RESPONSE_ALREADY_SENT;
    }),
  );

/** Until the client leaves, the key dies, or the store cannot be read: then the client comes back with its cursor. */
async function stream(events: EventStream, tail: Tail, recheck: () => Promise<void>): Promise<void> {
  let told = -1n;
  const tell = () => {
    told = tail.position;
    return `event: position\nid: ${told}\ndata: {}\n\n`;
  };
  const end = () => {
    tail.close();
    events.end();
  };
  const rechecks = setInterval(() => void recheck().catch(end), recheckEveryMs);
  const heartbeats = setInterval(() => {
    // Also a tail that finds nothing gets on: its reader need not begin far behind when it comes back.
    if (events.isReady) void events.send(`: ping\n\n${told === tail.position ? "" : tell()}`);
  }, heartbeatEveryMs);
  if (events.ended.aborted) end();
  else events.ended.addEventListener("abort", end, { once: true });
  try {
    await events.send(tell());
    for (;;) {
      const logs = await tail.next();
      if (!logs) break;
      // Not only now and then: after a revocation was answered, nothing is told any more.
      await recheck();
      told = BigInt((logs.at(-1) as StoredLog).position.id);
      await events.send(logFrame(logs, told));
    }
  } catch {
    // Nothing can be answered any more; the reader comes back with its cursor, and is answered why.
  } finally {
    clearInterval(rechecks);
    clearInterval(heartbeats);
    end();
  }
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

function logFrame(logs: readonly StoredLog[], cursor: bigint): string {
  const frame: TailFrame = { type: "logs", timestamp: new Date().toISOString(), data: logs.map(toTailed) };
  return `event: log\nid: ${cursor}\ndata: ${JSON.stringify(frame)}\n\n`;
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
