import { answerHeaders, type HttpContext } from "./context.ts";
import type { JsonText } from "./json-text.ts";

/**
 * Interval of checks while sending. The response to a key that lost its permissions is cut off within
 * this time, even when the client reads nothing.
 */
const recheckEveryMs = 500;

/**
 * Sends a response in pieces, as the client reads it. Checks the caller before each piece, and closes
 * the connection when it lost its permissions.
 */
export function largeAnswer(c: HttpContext, json: JsonText): Response {
  const { outgoing, admission, unsent } = c.env;
  const bytes = json.bytes;
  const pieces = [...json.pieces()].reverse();
  const cutOff = () => void outgoing.destroy();
  const recheck = async () => admission?.assertStillAllowed();
  const rechecks = setInterval(() => void recheck().catch(cutOff), recheckEveryMs);
  const held = unsent.hold(admission?.holders ?? ["", "", ""], bytes, cutOff);
  const stop = () => {
    clearInterval(rechecks);
    pieces.length = 0;
    held.release();
  };
  // The client may have disconnected already; no further event is emitted.
  if (outgoing.destroyed) stop();
  else outgoing.once("close", stop);
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        await recheck().catch(cutOff);
        const piece = outgoing.destroyed ? undefined : pieces.pop();
        if (!piece) return controller.close();
        held.sent(piece.length);
        controller.enqueue(piece);
      },
    },
    { highWaterMark: 0 },
  );
  const headers = answerHeaders(c);
  headers["content-type"] = "application/json";
  headers["content-length"] = String(bytes);
  return new Response(body, { status: 200, headers });
}
