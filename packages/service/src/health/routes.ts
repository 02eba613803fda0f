import { Hono } from "hono";
import type { AppContext } from "../app-context.ts";
import { ping } from "../db/database.ts";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { okBare } from "../http/respond.ts";

/** Half of the lease: a process that stalls this long is about to lose it. */
const stalledMs = 3_000;

export const healthRoutes = ({ db, leaseHeld, recentStallMs }: AppContext) =>
  new Hono<HttpEnv>()
    // Liveness: the process responds.
    .get("/healthz", (c) => okBare(c, { status: "ok" }))

    // Readiness: the database responds, keys are verified from the cache, and the process did not stall
    // recently. Otherwise a load balancer sends requests to other processes.
    .get("/readyz", async (c) => {
      c.env.operationId = "health.ready";
      if (!(await ping(db))) {
        throw new ApiError("UNAVAILABLE", "The database does not answer just now.", { retryAfterSeconds: 1 });
      }
      if (!leaseHeld()) {
        throw new ApiError("UNAVAILABLE", "This replica has lost its lease, and asks the database about each key.", {
          retryAfterSeconds: 1,
        });
      }
      const stallMs = recentStallMs();
      if (stallMs >= stalledMs) {
        throw new ApiError("UNAVAILABLE", `This process stood still for ${Math.round(stallMs)} ms a moment ago.`, {
          retryAfterSeconds: 5,
        });
      }
      return okBare(c, { status: "ready" });
    });
