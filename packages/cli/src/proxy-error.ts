import type { ProxyRoute } from "./proxy.ts";

/** What went wrong, went wrong on the way through this proxy. */
export class ThroughProxy extends Error {
  readonly proxy: ProxyRoute;

  constructor(proxy: ProxyRoute, cause: unknown) {
    super("Through a proxy.", { cause });
    this.proxy = proxy;
  }
}
