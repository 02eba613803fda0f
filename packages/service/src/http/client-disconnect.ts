import { ApiError } from "../errors.ts";
import type { HttpContext } from "./context.ts";

/** Returns a signal that is aborted when the client disconnects before it receives the response. */
export function disconnectSignal(c: HttpContext): AbortSignal {
  const controller = new AbortController();
  const { outgoing } = c.env;
  const leave = () => {
    // The error is never sent, since the client is gone.
    if (!outgoing.writableFinished) controller.abort(new ApiError("TIMEOUT", "The client left before the answer."));
  };
  // The client may have disconnected already; no further event is emitted.
  if (outgoing.destroyed) leave();
  else outgoing.once("close", leave);
  return controller.signal;
}
