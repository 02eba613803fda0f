import { ApiError } from "../errors.ts";
import type { HttpContext } from "./context.ts";

/** Aborted when the client leaves before it has its answer. */
export function disconnectSignal(c: HttpContext): AbortSignal {
  const controller = new AbortController();
  const { outgoing } = c.env;
  const leave = () => {
    // Nobody reads this one.
    if (!outgoing.writableFinished) controller.abort(new ApiError("TIMEOUT", "The client left before the answer."));
  };
  // It may be gone already; there will be no event about that.
  if (outgoing.destroyed) leave();
  else outgoing.once("close", leave);
  return controller.signal;
}
