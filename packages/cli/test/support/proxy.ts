import { createServer, request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { onTestFinished } from "vitest";

/** Of hosts that are somewhere else, as far as anyone but the proxies here knows. */
export const elsewhere = "sazabi.test";

/** The same address on that host. */
export function asElsewhere(url: string): string {
  return url.replace("127.0.0.1", elsewhere);
}

interface ProxyOptions {
  /** The user and password that it wants. */
  readonly login?: string;
  /** What it answers to requests for http addresses, and passes none of them on. */
  readonly own?: { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string };
}

/**
 * A real forward proxy: requests for http addresses are passed on, `CONNECT` makes a tunnel. Notes what it was asked.
 * Every host is this machine to it.
 */
export async function startProxy({ login, own }: ProxyOptions = {}) {
  const seen: string[] = [];
  const isAllowed = (header: string | undefined) =>
    login === undefined || header === `Basic ${Buffer.from(login).toString("base64")}`;
  const server = createServer((incoming, outgoing) => {
    seen.push(`${incoming.method} ${incoming.url}`);
    if (!isAllowed(incoming.headers["proxy-authorization"])) return void outgoing.writeHead(407).end();
    const { method = "GET", headers, url = "" } = incoming;
    if (own) return void outgoing.writeHead(own.status, own.headers).end(own.body);
    const { port, pathname, search } = new URL(url);
    const onward = request({ host: "127.0.0.1", port, path: pathname + search, method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    onward.on("error", () => void outgoing.writeHead(502).end());
    incoming.pipe(onward);
  });
  server.on("connect", (incoming, client) => {
    seen.push(`CONNECT ${incoming.url}`);
    if (!isAllowed(incoming.headers["proxy-authorization"])) {
      return void client.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
    }
    const [, port] = (incoming.url as string).split(":");
    const onward = connect(Number(port), "127.0.0.1", () => {
      client.write("HTTP/1.1 200 Connection Established\r\n\r\n");
      onward.pipe(client).pipe(onward);
    });
    onward.on("error", () => client.destroy());
    client.on("error", () => onward.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { seen, url: `http://${login ? `${login}@` : ""}${host}`, host };
}
