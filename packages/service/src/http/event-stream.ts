import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { answerHeaders, type HttpContext } from "./context.ts";

/** An answer of Server-Sent Events (WHATWG HTML, section 9.2) that goes on until one side ends it. */
export interface EventStream {
  /** Aborted when either side has ended it. */
  readonly ended: AbortSignal;
  /** False while frames are on their way that the client has not taken yet: more would pile up, or come between. */
  readonly isReady: boolean;
  /** Sends frames; resolves when the client can take more, or the stream has ended. */
  send(frames: string): Promise<void>;
  /** Ends it when the client has taken what was sent, or takes nothing for a minute. */
  end(): void;
  /** Ends it at once, and drops what the client has not taken yet. */
  destroy(): void;
}

/** Written at once, so that also a slow client is seen to take something. */
const pieceBytes = 64 * 1024;
/** A client that takes not even one piece for so long is cut off: it comes back when it can. */
const stuckMs = 60_000;

/** Sends the headers at once. The handler returns `RESPONSE_ALREADY_SENT`, and nothing it throws can be answered any more. */
export function openEventStream(c: HttpContext): EventStream {
  const { outgoing } = c.env;
  const ended = new AbortController();
  outgoing.once("close", () => ended.abort());
  outgoing.on("error", () => ended.abort());
  // It may have left while we got ready; there will be no event about that.
  if (outgoing.destroyed) ended.abort();
  outgoing.writeHead(200, {
    ...answerHeaders(c),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    // Nothing follows on this connection: when the service stops, it need not wait for it.
    connection: "close",
    // nginx would collect the frames otherwise.
    "x-accel-buffering": "no",
  });
  outgoing.flushHeaders();
  outgoing.socket?.setNoDelay(true);

  const drained = () =>
    new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(patience);
        outgoing.off("drain", done);
        ended.signal.removeEventListener("abort", done);
        resolve();
      };
      const patience = setTimeout(() => outgoing.destroy(), stuckMs);
      outgoing.once("drain", done);
      ended.signal.addEventListener("abort", done, { once: true });
    });
  let sending = 0;
  return {
    ended: ended.signal,
    get isReady() {
      return sending === 0;
    },
    async send(frames) {
      sending += 1;
      const bytes = Buffer.from(frames);
      for (let at = 0; at < bytes.length && !ended.signal.aborted; at += pieceBytes) {
        if (!outgoing.write(bytes.subarray(at, at + pieceBytes))) await drained();
      }
      sending -= 1;
    },
    end() {
      ended.abort();
      if (outgoing.destroyed || outgoing.writableEnded) return;
      outgoing.end();
      const patience = setTimeout(() => outgoing.destroy(), stuckMs);
      outgoing.once("close", () => clearTimeout(patience));
    },
    destroy() {
      outgoing.destroy();
    },
  };
}

export { RESPONSE_ALREADY_SENT };
