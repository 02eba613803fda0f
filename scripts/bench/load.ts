import { connect, type Socket } from "node:net";

export interface LoadOptions {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly connections: number;
  readonly durationMs: number;
  /** Sleeps while it waits: for a server that shares the processors with a database. Others answer more steadily when the load never does. */
  readonly sleeps?: true;
  /** Any other answer fails the run: a fast refusal is not a result. */
  readonly expectedStatus: number;
}

export interface RotationOptions {
  /** Of the server; the requests name the path. */
  readonly url: string;
  /** Whole requests, sent in turn. */
  readonly requests: readonly Buffer[];
  /** Ends when each request was sent once, instead of after a time. */
  readonly once?: boolean;
  readonly connections: number;
  readonly durationMs: number;
  /** How long each connection rests after an answer, on average: twice that at most, and not all at once. */
  readonly restMs?: number;
  /** As in `LoadOptions`. */
  readonly sleeps?: true;
  /** Ends it early. */
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
 * Sends one request after the other on each connection. On bare sockets, because on a small machine an HTTP client
 * would take the time that the server should have.
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
 * The same with requests that differ.
 *
 * Without rests it never sleeps while it waits for answers. To wake a client that sleeps falls to the server's write, and
 * costs a virtual machine a third of a request: that would be charged to whichever server is just slow enough to let the
 * client fall asleep.
 */
export async function rotate(options: RotationOptions): Promise<LoadResult> {
  const { url, requests, once, connections, durationMs, restMs = 0, sleeps, signal, expectedStatus } = options;
  const { hostname, port } = new URL(url);
  const startedAt = performance.now();
  const until = startedAt + (once ? Number.POSITIVE_INFINITY : durationMs);
  let sent = 0;
  /** Undefined when it is over. */
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

/** Resolves to the milliseconds that each request took. */
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
