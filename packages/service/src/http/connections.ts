import type { Server, Socket } from "node:net";
import { log } from "../logger.ts";
import { type AddressList, peerAddress, subscriberBlock } from "../net/ip-ranges.ts";

const maxConnections = 10_000;
const maxConnectionsPerAddress = 1_000;
const logEveryMs = 10_000;
const defaultStuckMs = 60_000;

/**
 * Counts the connections of a server by address (IPv6: by /64), so that one address cannot use all of
 * them. Closes a connection whose client reads nothing of its response for a minute.
 */
export class Connections {
  /** Number of open connections. */
  open = 0;
  /** Connections closed since startup because their address had 1,000 open. */
  refused = 0;
  /** Connections closed since startup because the client did not read the response. */
  stuck = 0;
  #loggedAtMs = Number.NEGATIVE_INFINITY;
  /** For each connection, the bytes that the client had read and the time of its last progress. */
  readonly #sockets = new Map<Socket, { takenBytes: number; atMs: number }>();
  readonly #stuckMs: number;
  readonly #sweeps: NodeJS.Timeout;
  readonly #byBlock = new Map<string, number>();
  /** Connections from trusted proxies carry many clients, so only their total is limited. */
  readonly #trustedProxies: AddressList | undefined;

  constructor(trustedProxies: AddressList | undefined, stuckMs = defaultStuckMs) {
    this.#trustedProxies = trustedProxies;
    this.#stuckMs = stuckMs;
    this.#sweeps = setInterval(() => this.#closeStuck(), stuckMs / 12).unref();
  }

  close(): void {
    clearInterval(this.#sweeps);
  }

  limit(server: Server): void {
    server.maxConnections = maxConnections;
    server.on("connection", (socket: Socket) => this.#admit(socket));
  }

  #admit(socket: Socket): void {
    const address = peerAddress(socket.remoteAddress);
    const block = this.#trustedProxies?.has(address) ? undefined : subscriberBlock(address);
    if (block !== undefined && this.#countOf(block) >= maxConnectionsPerAddress) {
      socket.destroy();
      this.#noteRefused(address);
      return;
    }
    this.#add(block, 1);
    this.#sockets.set(socket, { takenBytes: 0, atMs: performance.now() });
    socket.once("close", () => {
      this.#add(block, -1);
      this.#sockets.delete(socket);
    });
  }

  /** Connections without a pending response are skipped: either side may be idle between requests. */
  #closeStuck(): void {
    const nowMs = performance.now();
    for (const [socket, last] of this.#sockets) {
      const takenBytes = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength === 0 || takenBytes !== last.takenBytes) {
        last.takenBytes = takenBytes;
        last.atMs = nowMs;
      } else if (nowMs - last.atMs >= this.#stuckMs) {
        this.stuck += 1;
        socket.destroy();
      }
    }
  }

  #noteRefused(address: string): void {
    this.refused += 1;
    if (Date.now() - this.#loggedAtMs < logEveryMs) return;
    this.#loggedAtMs = Date.now();
    log.warn("connections refused: an address has too many", { address, refusedSinceStart: this.refused });
  }

  #countOf(block: string): number {
    return this.#byBlock.get(block) ?? 0;
  }

  #add(block: string | undefined, change: 1 | -1): void {
    this.open += change;
    if (block === undefined) return;
    const count = this.#countOf(block) + change;
    if (count > 0) this.#byBlock.set(block, count);
    else this.#byBlock.delete(block);
  }
}
