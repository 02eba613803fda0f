import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import { answerHeaders, type HttpContext } from "./context.ts";

/** A response of Server-Sent Events (WHATWG HTML, section 9.2) that stays open until one side ends it. */
export interface EventStream {
  /** Aborted when either side ends the stream. */
  readonly ended: AbortSignal;
  /** False while the client has not read earlier frames, so that frames neither accumulate nor interleave. */
  readonly isReady: boolean;
  /** Sends frames. Resolves when the client can receive more, or when the stream has ended. */
  send(frames: string): Promise<void>;
  /** Ends the stream when the client has read all frames, or has read nothing for a minute. */
  end(): void;
  /** Ends the stream immediately and drops unread frames. */
  destroy(): void;
}

/** Bytes of one write, so that progress of a slow client is visible. */
const pieceBytes = 64 * 1024;
/** A client that does not read one piece in this time is disconnected; it can reconnect. */
const stuckMs = 60_000;

/**
 * Sends the headers immediately. The handler returns `RESPONSE_ALREADY_SENT`; errors it throws
 * afterwards cannot be sent.
 */
export function openEventStream(c: HttpContext): EventStream {
  const { outgoing } = c.env;
  const ended = new AbortController();
  outgoing.once("close", () => ended.abort());
  outgoing.on("error", () => ended.abort());
  // The client may have disconnected during the preparation; no further event is emitted.
  if (outgoing.destroyed) ended.abort();
  outgoing.writeHead(200, {
    ...answerHeaders(c),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    // The connection is not reused, so a shutdown need not wait for it.
    connection: "close",
    // Disables buffering of frames in nginx.
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
