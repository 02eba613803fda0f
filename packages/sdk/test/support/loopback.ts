import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";

/** What a server on loopback was asked. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage["headers"];
  /** Unpacked. */
  readonly text: string;
  /** The body, when it is JSON. */
  readonly json: unknown;
}

export interface Answer {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

type Answers = Readonly<Record<string, (asked: Asked) => Answer | Promise<Answer>>>;

/** A real HTTP server; `answers` are named `GET /v1/me`. What it is not told to answer is a 404. */
export async function startLoopback(answers: Answers) {
  const asked: Asked[] = [];
  const server = createServer(async (incoming, outgoing) => {
    const request = await readRequest(incoming);
    asked.push(request);
    const answer =
      (await answers[`${request.method} ${request.path}`]?.(request)) ?? refusal(404, "NOT_FOUND", "No such thing.");
    outgoing.writeHead(answer.status ?? 200, {
      "content-type": "application/json",
      // As the service does. What has no body of ours is what a gateway answers.
      ...(typeof answer.body === "object" ? { "x-request-id": "req-1" } : {}),
      ...answer.headers,
    });
    outgoing.end(typeof answer.body === "string" ? answer.body : JSON.stringify(answer.body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** An error as the service sends it. */
export function refusal(status: number, code: string, message: string, more: object = {}): Answer {
  const detail = { code, message, operationId: "test.operation", requestId: "req-1", ...more };
  return { status, body: { data: null, error: { code, message }, ...detail } };
}

async function readRequest(incoming: IncomingMessage): Promise<Asked> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const bytes = Buffer.concat(chunks);
  const text = (incoming.headers["content-encoding"] === "gzip" ? gunzipSync(bytes) : bytes).toString();
  const url = new URL(incoming.url as string, "http://loopback");
  return {
    method: incoming.method as string,
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    headers: incoming.headers,
    text,
    json: parse(text),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
