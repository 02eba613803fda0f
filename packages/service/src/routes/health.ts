import { Hono } from "hono";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import type { Services } from "../services.ts";
import { answers } from "../store/database.ts";

/** For whoever watches the service: no key needed, nothing told. */
export const healthRoutes = ({ db, leaseHeld }: Services) =>
  new Hono<HttpEnv>()
    // Alive: the process answers.
    .get("/healthz", (c) => c.json({ status: "ok" }))

    // Ready: the database answers too, and keys are checked from memory. A load balancer sends requests elsewhere meanwhile.
    .get("/readyz", async (c) => {
      c.env.operationId = "health.ready";
      if (!(await answers(db))) {
        throw new ApiError("UNAVAILABLE", "The database does not answer just now.", { retryAfterSeconds: 1 });
      }
      if (!leaseHeld()) {
        throw new ApiError("UNAVAILABLE", "This replica has lost its lease, and asks the database about each key.", {
          retryAfterSeconds: 1,
        });
      }
      return c.json({ status: "ready" });
    });
