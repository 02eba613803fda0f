import { Hono } from "hono";
import type { AppContext } from "../../../app-context.ts";
import { type HttpEnv, header } from "../../../http/context.ts";
import { preflight } from "../../../http/cross-origin.ts";
import { noContent, okEnvelope } from "../../../http/respond.ts";
import { lokiFormat } from "../formats/loki.ts";
import { type Dialect, logReceiver } from "./receive-logs.ts";

/** Loki says 204 and no more; senders take any other 2xx as well, and can be told what was not stored. */
const loki: Dialect = {
  formatOf: (c) => lokiFormat(header(c, "content-type")),
  answer: (c, { result }) => (result.rejectedCount ? okEnvelope(c, result, 200) : noContent(c)),
};

export const lokiRoutes = (services: AppContext) =>
  new Hono<HttpEnv>().options("/loki/api/v1/push", preflight).post("/loki/api/v1/push", logReceiver(services)(loki));
