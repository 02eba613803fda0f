import { Hono } from "hono";
import type { AppContext } from "./app-context.ts";
import { auditRoutes } from "./audit/routes.ts";
import { healthRoutes } from "./health/routes.ts";
import type { HttpEnv } from "./http/context.ts";
import { notFound, onError } from "./http/respond.ts";
import { keyImportRoutes } from "./keys/routes/import.ts";
import { keyRoutes } from "./keys/routes/keys.ts";
import { meRoutes } from "./keys/routes/me.ts";
import { ownKeyRoutes } from "./keys/routes/own-key.ts";
import { publicKeyRoutes } from "./keys/routes/public-keys.ts";
import { keyReportRoutes } from "./keys/routes/reports.ts";
import { secretKeyRoutes } from "./keys/routes/secret-keys.ts";
import { elasticsearchRoutes } from "./logs/ingest/routes/elasticsearch.ts";
import { intakeRoutes } from "./logs/ingest/routes/intake.ts";
import { lokiRoutes } from "./logs/ingest/routes/loki.ts";
import { otlpRoutes } from "./logs/ingest/routes/otlp.ts";
import { tailRoutes } from "./logs/live-tail/routes.ts";
import { logContextRoutes } from "./logs/query/routes/context.ts";
import { logCountRoutes } from "./logs/query/routes/counts.ts";
import { logPatternRoutes } from "./logs/query/routes/patterns.ts";
import { logSchemaRoutes } from "./logs/query/routes/schema.ts";
import { logRoutes } from "./logs/query/routes/search.ts";
import { logNativeRoutes } from "./logs/query/routes/sql-query.ts";
import { organizationRoutes } from "./organizations/routes.ts";
import { projectRoutes } from "./projects/routes.ts";
import { queryRoutes } from "./saved-queries/routes.ts";
import { threadRoutes } from "./threads/routes.ts";

/** Builds all HTTP routes. `/v1/…` is the API; the unversioned paths of spec/2 are the same routes. */
export function createApp(services: AppContext): Hono<HttpEnv> {
  const api = new Hono<HttpEnv>()
    .route("/me", meRoutes(services))
    .route("/organizations", organizationRoutes(services))
    .route("/projects", projectRoutes(services))
    .route("/secret-keys", secretKeyRoutes(services))
    .route("/public-keys", publicKeyRoutes(services))
    .route("/keys/import", keyImportRoutes(services))
    .route("/keys/report", keyReportRoutes(services))
    .route("/keys/self", ownKeyRoutes(services))
    .route("/keys", keyRoutes(services))
    .route("/audit", auditRoutes(services))
    .route("/logs", intakeRoutes(services))
    .route("/logs", logRoutes(services))
    .route("/logs", logCountRoutes(services))
    .route("/logs", logPatternRoutes(services))
    .route("/logs", logSchemaRoutes(services))
    .route("/logs", logNativeRoutes(services))
    .route("/logs", logContextRoutes(services))
    .route("/tail", tailRoutes(services))
    .route("/queries", queryRoutes(services))
    .route("/threads", threadRoutes(services));

  return new Hono<HttpEnv>()
    .route("/", healthRoutes(services))
    .route("/", otlpRoutes(services))
    .route("/", lokiRoutes(services))
    .route("/v1", api)
    .route("/", api)
    .route("/", elasticsearchRoutes(services))

    .notFound(notFound)
    .onError(onError);
}
