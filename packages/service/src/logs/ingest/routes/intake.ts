import { Hono } from "hono";
import type { AppContext } from "../../../app-context.ts";
import { type HttpEnv, header } from "../../../http/context.ts";
import { preflight } from "../../../http/cross-origin.ts";
import { okEnvelope } from "../../../http/respond.ts";
import { entriesFormat } from "../formats/entries.ts";
import { otlpAnswer } from "./otlp-response.ts";
import { type Dialect, logReceiver } from "./receive-logs.ts";

/** Our own JSON and lines, and OTLP at the address where its senders look for it. */
const entries: Dialect = {
  formatOf: (c) => entriesFormat(header(c, "content-type")),
  takesOtlp: true,
  answer: (c, { body, result }) => (body.isOtlp ? otlpAnswer(c, result) : okEnvelope(c, result, 202)),
};

export const intakeRoutes = (services: AppContext) =>
  new Hono<HttpEnv>().options("/", preflight).post("/", logReceiver(services)(entries));
