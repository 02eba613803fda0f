import { connect, type Socket } from "node:net";

export interface LoadOptions {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly connections: number;
  readonly durationMs: number;
  /**
   * Sleeps while waiting, for a server that shares the processors with a database. Other servers respond more steadily
   * under a load that never sleeps.
   */
  readonly sleeps?: true;
  /** Any other status fails the run, because a fast error is not a result. */
  readonly expectedStatus: number;
}

export interface RotationOptions {
  /** The URL of the server; the requests contain the path. */
  readonly url: string;
  /** Complete requests, sent in rotation. */
  readonly requests: readonly Buffer[];
  /** Ends when each request was sent once, instead of after a duration. */
  readonly once?: boolean;
  readonly connections: number;
  readonly durationMs: number;
  /** The average pause of each connection after a response. Pauses are random, at most twice the average. */
  readonly restMs?: number;
  /** As in `LoadOptions`. */
  readonly sleeps?: true;
  /** Ends the load early. */
  readonly signal?: AbortSignal;
  readonly expectedStatus: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * Sends requests sequentially on each connection. Uses plain sockets, because on a small machine an HTTP client would
 * use the server's processor time.
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const { hostname, port, pathname } = new URL(options.url);
  const headers = {
    host: `${hostname}:${port}`,
    "content-length": Buffer.byteLength(options.body),
    ...options.headers,
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`${options.method} ${pathname} HTTP/1.1\r\n${lines.join("")}\r\n${options.body}`);

  return rotate({ ...options, requests: [request] });
}

/**
 * Sends different requests in rotation.
 * Without pauses it never sleeps while it waits for responses. Waking a sleeping client is part of the server's write,
 * and costs a third of a request on a virtual machine. That cost would fall on whichever server is just slow enough to
 * let the client sleep.
 */
export async function rotate(options: RotationOptions): Promise<LoadResult> {
  const { url, requests, once, connections, durationMs, restMs = 0, sleeps, signal, expectedStatus } = options;
  const { hostname, port } = new URL(url);
  const startedAt = performance.now();
  const until = startedAt + (once ? Number.POSITIVE_INFINITY : durationMs);
  let sent = 0;
  /** Returns undefined when the load is over. */
  const next = (): Buffer | undefined => {
    if (signal?.aborted || performance.now() >= until || (once && sent >= requests.length)) return undefined;
    return requests[sent++ % requests.length];
  };
  let isOver = false;
  const stayAwake = () => {
    if (!isOver) setImmediate(stayAwake);
  };
  if (restMs === 0 && !sleeps) stayAwake();
  const latencies = await Promise.all(
    Array.from({ length: connections }, () =>
      keepAsking(connect({ host: hostname, port: Number(port), noDelay: true }), next, restMs, expectedStatus),
    ),
  ).finally(() => {
    isOver = true;
  });
  const seconds = (performance.now() - startedAt) / 1000;
  const all = latencies.flat().sort((a, b) => a - b);
  const quantile = (part: number) => all[Math.floor(part * (all.length - 1))] ?? Number.NaN;
  return {
    requests: all.length,
    requestsPerSecond: all.length / seconds,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  };
}

/** Resolves to the duration of each request in milliseconds. */
function keepAsking(
  socket: Socket,
  next: () => Buffer | undefined,
  restMs: number,
  expectedStatus: number,
): Promise<number[]> {
  return new Promise((resolve, reject) => {
    const latencies: number[] = [];
    let sentAt = 0;
    let received = "";
    const ask = () => {
      const request = next();
      if (!request) {
        socket.removeAllListeners("close").destroy();
        return resolve(latencies);
      }
      sentAt = performance.now();
      socket.write(request);
    };
    socket.once("connect", ask);
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("The server closed a connection.")));
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1");
      if (!isComplete(received)) return;
      if (!received.startsWith(`HTTP/1.1 ${expectedStatus} `))
        return socket.destroy(new Error(received.slice(0, 2000)));
      received = "";
      latencies.push(performance.now() - sentAt);
      if (restMs > 0) setTimeout(ask, 2 * restMs * Math.random());
      else ask();
    });
  });
}

function isComplete(response: string): boolean {
  const headerEnd = response.indexOf("\r\n\r\n");
  if (headerEnd < 0) return false;
  const length = /\r\ncontent-length: (\d+)/i.exec(response.slice(0, headerEnd))?.[1];
  return length === undefined ? response.endsWith("\r\n0\r\n\r\n") : response.length >= headerEnd + 4 + Number(length);
}
