import { Agent as HttpAgent, type IncomingMessage, type RequestOptions, request as requestHttp } from "node:http";
import type { FetchInit } from "@sazabi/sdk";
import type { Fetch, FetchedAnswer } from "./context.ts";
import { AnswerHeaders } from "./network-headers.ts";

type Env = Readonly<Record<string, string | undefined>>;

const proxyVariables = ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY"];

/**
 * `fetch` as far as the SDK needs it. Node's own client makes direct requests: undici, which loads and compiles for
 * longer than a whole query takes, comes in when the environment names a proxy.
 */
export async function openFetch(env: Env): Promise<Fetch> {
  return proxyVariables.some((name) => env[name]) ? openProxiedFetch(env) : openDirectFetch();
}

function openDirectFetch(): Fetch {
  const agent = new HttpAgent({ keepAlive: true });
  return async (url, init) => {
    if (url.startsWith("http:")) return send(requestHttp, url, { agent }, init);
    const { request } = await import("node:https");
    return send(request, url, {}, init);
  };
}

async function send(
  request: typeof requestHttp,
  url: string,
  options: RequestOptions,
  init: FetchInit,
): Promise<FetchedAnswer> {
  try {
    return await sendOnce(request, url, options, init);
  } catch (error) {
    if (!(error instanceof IdleSocketClosed) || !isSafeTwice(init)) throw error;
    return sendOnce(request, url, options, init);
  }
}

function sendOnce(
  request: typeof requestHttp,
  url: string,
  options: RequestOptions,
  { method, headers, body, signal }: FetchInit,
): Promise<FetchedAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { ...options, method, headers, signal }, (incoming) => {
      resolve({
        status: incoming.statusCode ?? 0,
        headers: new AnswerHeaders(incoming.headers),
        text: () => readText(incoming),
        body: incoming,
      });
    });
    outgoing.on("error", (error: NodeJS.ErrnoException) => {
      const wasClosed = outgoing.reusedSocket && error.code === "ECONNRESET";
      reject(wasClosed ? new IdleSocketClosed("The connection was closed.", { cause: error }) : error);
    });
    outgoing.end(body);
  });
}

/** The server closed a connection that was kept for the next request, at the moment this one was sent. */
class IdleSocketClosed extends Error {}

function isSafeTwice({ method, headers }: FetchInit): boolean {
  return method === "GET" || headers["idempotency-key"] !== undefined;
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

async function openProxiedFetch(env: Env): Promise<Fetch> {
  const { EnvHttpProxyAgent } = await import("undici");
  const dispatcher = new EnvHttpProxyAgent(proxiesOf(env));
  return async (url, { method, headers, body, signal }) => {
    const { origin, pathname, search } = new URL(url);
    const answer = await dispatcher.request({
      origin,
      path: pathname + search,
      method: method as "GET",
      headers,
      body: body ?? null,
      signal,
    });
    return {
      status: answer.statusCode,
      headers: new AnswerHeaders(answer.headers),
      text: () => answer.body.text(),
      body: answer.body,
    };
  };
}

function proxiesOf(env: Env) {
  const httpProxy = env.http_proxy ?? env.HTTP_PROXY;
  const httpsProxy = env.https_proxy ?? env.HTTPS_PROXY;
  const noProxy = env.no_proxy ?? env.NO_PROXY;
  return {
    ...(httpProxy ? { httpProxy } : {}),
    ...(httpsProxy ? { httpsProxy } : {}),
    ...(noProxy ? { noProxy } : {}),
  };
}
