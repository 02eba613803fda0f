import { Agent as HttpAgent, type IncomingMessage, type RequestOptions, request as requestHttp } from "node:http";
import type { RequestOptions as HttpsOptions } from "node:https";
import type { FetchInit } from "@sazabi/sdk";
import type { Fetch, FetchedAnswer, NetworkOptions } from "./context.ts";
import { AnswerHeaders } from "./network-headers.ts";
import { type ProxyRoute, proxyFor, proxyVariables } from "./proxy.ts";
import { ThroughProxy } from "./proxy-error.ts";

type Env = Readonly<Record<string, string | undefined>>;

/**
 * The `fetch` that the SDK needs. Direct requests use Node's own client. Requests through a proxy use undici, which
 * takes longer to load than a whole query.
 */
export async function openFetch(env: Env, { caFile, warn }: NetworkOptions = {}): Promise<Fetch> {
  const authorities = caFile && (await import("./certificates.ts")).readAuthorities(caFile, env);
  const direct = openDirectFetch(authorities);
  if (!proxyVariables.some((name) => env[name])) return direct;
  const proxied = new Map<string, Promise<Fetch>>();
  return async (url, init) => {
    const proxy = proxyFor(url, env);
    if (!proxy) return direct(url, init);
    if (proxy.warning) warn?.(proxy.warning);
    const open = proxied.get(proxy.url.href) ?? openProxiedFetch(proxy, authorities);
    proxied.set(proxy.url.href, open);
    return (await open)(url, init);
  };
}

function openDirectFetch(authorities: readonly string[] | undefined): Fetch {
  const agent = new HttpAgent({ keepAlive: true });
  const secure: HttpsOptions = authorities === undefined ? {} : { ca: [...authorities] };
  return async (url, init) => {
    if (url.startsWith("http:")) return send(requestHttp, url, { agent }, init);
    const { request } = process.getBuiltinModule("node:https");
    return send(request, url, secure, init);
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

/** The server closed an idle connection while this request was being sent on it. */
class IdleSocketClosed extends Error {}

function isSafeTwice({ method, headers }: FetchInit): boolean {
  return method === "GET" || headers["idempotency-key"] !== undefined;
}

async function readText(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}

function describeOwnAnswer(status: number): string {
  if (status === 407) return "the proxy wants a user and a password";
  return `the proxy answered by itself, with status ${status}`;
}

async function openProxiedFetch(proxy: ProxyRoute, authorities: readonly string[] | undefined): Promise<Fetch> {
  const { ProxyAgent } = await import("undici");
  const tls = authorities === undefined ? {} : { ca: [...authorities] };
  // Only https is tunnelled: many proxies refuse a tunnel to other ports.
  const dispatcher = new ProxyAgent({ uri: proxy.url.href, proxyTunnel: false, requestTls: tls, proxyTls: tls });
  return async (url, { method, headers, body, signal }) => {
    const { origin, pathname, search } = new URL(url);
    const request = { origin, path: pathname + search, method: method as "GET", headers, body: body ?? null, signal };
    const answer = await dispatcher.request(request).catch((cause) => {
      throw new ThroughProxy(proxy, cause);
    });
    const answerHeaders = new AnswerHeaders(answer.headers);
    // Every response of the service has this header.
    if (answerHeaders.get("x-request-id") === null) {
      await answer.body.dump();
      throw new ThroughProxy(proxy, new Error(describeOwnAnswer(answer.statusCode)));
    }
    return {
      status: answer.statusCode,
      headers: answerHeaders,
      text: () => answer.body.text(),
      body: answer.body,
    };
  };
}
