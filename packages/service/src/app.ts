import { Hono } from "hono";
import type { HttpEnv } from "./http/context.ts";
import { notFound, onError } from "./http/respond.ts";
import { auditRoutes } from "./routes/audit.ts";
import { elasticsearchRoutes } from "./routes/elasticsearch.ts";
import { healthRoutes } from "./routes/health.ts";
import { intakeRoutes } from "./routes/intake.ts";
import { keyImportRoutes } from "./routes/key-import.ts";
import { keyReportRoutes } from "./routes/key-reports.ts";
import { keyRoutes } from "./routes/keys.ts";
import { logContextRoutes } from "./routes/log-context.ts";
import { logCountRoutes } from "./routes/log-counts.ts";
import { logNativeRoutes } from "./routes/log-native.ts";
import { logPatternRoutes } from "./routes/log-patterns.ts";
import { logSchemaRoutes } from "./routes/log-schema.ts";
import { logRoutes } from "./routes/logs.ts";
import { lokiRoutes } from "./routes/loki.ts";
import { meRoutes } from "./routes/me.ts";
import { organizationRoutes } from "./routes/organizations.ts";
import { otlpRoutes } from "./routes/otlp.ts";
import { ownKeyRoutes } from "./routes/own-key.ts";
import { projectRoutes } from "./routes/projects.ts";
import { publicKeyRoutes } from "./routes/public-keys.ts";
import { queryRoutes } from "./routes/queries.ts";
import { secretKeyRoutes } from "./routes/secret-keys.ts";
import { tailRoutes } from "./routes/tail.ts";
import { threadRoutes } from "./routes/threads.ts";
import type { Services } from "./services.ts";

/** The whole HTTP surface. `/v1/…` is the API; the unversioned paths of spec/2 are the same routes. */
export function createApp(services: Services): Hono<HttpEnv> {
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
