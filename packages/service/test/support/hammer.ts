import { connect } from "node:net";

/** One request as it goes over the wire, and what to do with the status of its answer. */
export interface Shot {
  readonly request: Buffer;
  readonly onAnswer: (status: number) => void;
}

export interface Hammer {
  /** Requests that were answered. */
  readonly answered: number;
  /** Lets every request that is under way end first. */
  stop(): Promise<void>;
}

export function requestBytes(method: string, url: string, key: string): Buffer {
  const { host, pathname } = new URL(url);
  return Buffer.from(`${method} ${pathname} HTTP/1.1\r\nhost: ${host}\r\nauthorization: Bearer ${key}\r\n\r\n`);
}

/**
 * Clients that send one request after the other, each over a connection of its own, which is opened again when it breaks.
 * `next` is called at the moment a request starts. On bare sockets, so that the service gets the machine.
 */
export function hammer(url: string, clients: number, next: () => Shot): Hammer {
  let over = false;
  let answered = 0;
  const running = Array.from({ length: clients }, async () => {
    while (!over) await keepAsking();
  });

  /** Until the connection breaks or the hammer stops. */
  function keepAsking(): Promise<void> {
    return new Promise((resolve) => {
      const { hostname, port } = new URL(url);
      const socket = connect({ host: hostname, port: Number(port), noDelay: true });
      let shot: Shot;
      let received = "";
      const shoot = () => {
        if (over) return socket.destroy();
        shot = next();
        socket.write(shot.request);
      };
      socket.once("connect", shoot);
      socket.on("error", () => {});
      socket.once("close", () => setTimeout(resolve, 20));
      socket.on("data", (chunk) => {
        received += chunk.toString("latin1");
        const status = statusOf(received);
        if (status === undefined) return;
        received = "";
        answered += 1;
        shot.onAnswer(status);
        shoot();
      });
    });
  }

  return {
    get answered() {
      return answered;
    },
    async stop() {
      over = true;
      await Promise.all(running);
    },
  };
}

/** Undefined while the answer is not complete. */
function statusOf(response: string): number | undefined {
  const headerEnd = response.indexOf("\r\n\r\n");
  if (headerEnd < 0) return undefined;
  const length = /\r\ncontent-length: (\d+)/i.exec(response.slice(0, headerEnd))?.[1];
  const complete = length ? response.length >= headerEnd + 4 + Number(length) : response.endsWith("\r\n0\r\n\r\n");
  return complete ? Number(response.slice(9, 12)) : undefined;
}
