import type { ProxyRoute } from "./proxy.ts";

/** An error of a connection through a proxy. */
export class ThroughProxy extends Error {
  readonly proxy: ProxyRoute;

  constructor(proxy: ProxyRoute, cause: unknown) {
    super("Through a proxy.", { cause });
    this.proxy = proxy;
  }
}
