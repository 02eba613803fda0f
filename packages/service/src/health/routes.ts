import { Hono } from "hono";
import type { AppContext } from "../app-context.ts";
import { ping } from "../db/database.ts";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { okBare } from "../http/respond.ts";

/** Half of the lease: a process that stops for so long is about to lose it. */
const stalledMs = 3_000;

export const healthRoutes = ({ db, leaseHeld, recentStallMs }: AppContext) =>
  new Hono<HttpEnv>()
    // Alive: the process answers.
    .get("/healthz", (c) => okBare(c, { status: "ok" }))

    // Ready: the database answers too, keys are checked from memory, and the process did not stall just now. A load balancer sends requests elsewhere meanwhile.
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
