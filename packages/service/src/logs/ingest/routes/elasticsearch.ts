import type { Rejection } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import type { AppContext } from "../../../app-context.ts";
import { answerHeaders, type HttpContext, type HttpEnv, header } from "../../../http/context.ts";
import { preflight } from "../../../http/cross-origin.ts";
import { type BulkBody, type BulkOperation, bulkFormat } from "../formats/elasticsearch-bulk.ts";
import { type Dialect, logReceiver } from "./receive-logs.ts";

const bulk: Dialect<BulkBody> = {
  formatOf: (c) => bulkFormat(header(c, "content-type"), c.req.param("index")),
  answersAllRejected: true,
  repeatsBody: true,
  answer: (c, { body, rejected, repeated }) => {
    const refusals = new Map(rejected.map((rejection) => [rejection.index, rejection]));
    const items = body.operations.map((operation, place) => {
      const refusal = refusals.get(place);
      if (refusal) return refusedItem(operation, refusal);
      return repeated.has(place) ? repeatedItem(operation) : createdItem(operation);
    });
    return asElasticsearch(c, { took: 0, errors: items.some(isFailed), items });
  },
};

/**
 * Enough of Elasticsearch for what sends logs to it: `_bulk`, and the question which version this is. At the root, where
 * senders look, and under a path of its own for who wants them apart.
 */
export const elasticsearchRoutes = (services: AppContext) => {
  const receive = logReceiver(services)(bulk);
  return new Hono<HttpEnv>()
    .get("/", (c, next) => (asksForPage(c) ? next() : asElasticsearch(c, version)))
    .get("/adapters/elasticsearch", (c) => asElasticsearch(c, version))
    .options("/_bulk", preflight)
    .on(methods, "/_bulk", receive)
    .options("/:index/_bulk", preflight)
    .on(methods, "/:index/_bulk", receive)
    .options("/adapters/elasticsearch/*", preflight)
    .on(methods, "/adapters/elasticsearch/_bulk", receive)
    .on(methods, "/adapters/elasticsearch/:index/_bulk", receive);
};

/** Elasticsearch takes both. */
const methods = ["POST", "PUT"];

/** The version whose `_bulk` we speak. Clients refuse a server without the tagline or the header below. */
const version = {
  name: "sazabi",
  cluster_name: "sazabi",
  version: { number: "8.19.0", build_flavor: "default", minimum_wire_compatibility_version: "7.17.0" },
  tagline: "You Know, for Search",
};

/** A person's browser, and no shipper. */
function asksForPage(c: HttpContext): boolean {
  return header(c, "accept")?.includes("text/html") ?? false;
}

interface Verdict {
  readonly status: number;
  readonly result?: "created" | "updated";
  readonly error?: { readonly type: string; readonly reason: string };
}

type Item = Readonly<Record<string, Verdict & { readonly _index: string; readonly _id?: string }>>;

/** The verdict on one document, as Elasticsearch gives it. */
function itemOf({ action, index, id }: BulkOperation, verdict: Verdict): Item {
  return { [action]: { _index: index ?? "", ...(id !== undefined && { _id: id }), ...verdict } };
}

function createdItem(operation: BulkOperation): Item {
  return itemOf(operation, { result: "created", status: 201 });
}

function refusedItem(operation: BulkOperation, { field, message }: Rejection): Item {
  const reason = `${field || "The operation"} ${message}`;
  return itemOf(operation, { status: 400, error: { type: "illegal_argument_exception", reason } });
}

/** `index` may find its document there, `create` may not: shippers take its 409 for done. */
function repeatedItem(operation: BulkOperation): Item {
  // Known by what the document says of itself, of which Elasticsearch would know nothing.
  if (operation.id === undefined) return createdItem(operation);
  if (operation.action === "index") return itemOf(operation, { result: "updated", status: 200 });
  const reason = `[${operation.id}]: version conflict, document already exists`;
  return itemOf(operation, { status: 409, error: { type: "version_conflict_engine_exception", reason } });
}

function isFailed(item: Item): boolean {
  return Object.values(item).some(({ error }) => error !== undefined);
}

function asElasticsearch(c: HttpContext, answer: object): Response {
  const headers = { ...answerHeaders(c), "content-type": "application/json", "x-elastic-product": "Elasticsearch" };
  return new Response(JSON.stringify(answer), { status: 200, headers });
}
