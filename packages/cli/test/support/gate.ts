import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { onTestFinished } from "vitest";

export interface Stop {
  /** `POST /v1/secret-keys/…/rotate`, as a pattern. */
  readonly request: RegExp;
  /** The how many-th of them; default the first. */
  readonly turn?: number;
  /** Before it reaches the service, or once the service has carried it out. It is never answered. */
  readonly when: "before" | "after";
}

/** Stands between the command line and the real service, and lets everything through but one request. */
export async function startGate(target: string) {
  let stop: (Stop & { reached(): void }) | undefined;
  let turns = 0;
  const server = createServer(async (incoming, outgoing) => {
    const matches = stop?.request.test(`${incoming.method} ${incoming.url}`) ?? false;
    if (matches) turns++;
    const held = matches && turns === (stop?.turn ?? 1) ? stop : undefined;
    if (held?.when === "before") return held.reached();
    const answer = await pass(incoming, target);
    const body = Buffer.from(await answer.arrayBuffer());
    if (held) return held.reached();
    outgoing.writeHead(answer.status, { "content-type": answer.headers.get("content-type") ?? "text/plain" });
    outgoing.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    /** Resolves when the request has come there and is held. */
    stopAt(wanted: Stop): Promise<void> {
      turns = 0;
      return new Promise((reached) => {
        stop = { ...wanted, reached };
      });
    },
    open(): void {
      stop = undefined;
    },
  };
}

async function pass(incoming: IncomingMessage, target: string): Promise<Response> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  const headers = Object.fromEntries(
    Object.entries(incoming.headers).filter(([name]) => !["host", "connection", "content-length"].includes(name)),
  ) as Record<string, string>;
  const body = chunks.length > 0 ? new Uint8Array(Buffer.concat(chunks)) : null;
  return fetch(new URL(incoming.url as string, target), { method: incoming.method as string, headers, body });
}
