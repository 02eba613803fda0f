import { answerHeaders, type HttpContext } from "./context.ts";
import type { JsonText } from "./json-text.ts";

/** The answer to a key that lost its rights is cut off within this time, also when its reader takes nothing. */
const recheckEveryMs = 500;

/**
 * An answer that is sent piece by piece, as its reader takes it. The caller is judged again before each piece; when it lost
 * its rights, the connection is closed.
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
  // It may be gone already; there will be no event about that.
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
