import { once } from "node:events";
import { connect } from "node:net";

export interface HeldRequest {
  /** The answer, also when it comes before the body. */
  readonly answer: Promise<HeldAnswer>;
  /** Sends the body that was held back. Resolves with the answer. */
  finish(): Promise<HeldAnswer>;
}

interface HeldAnswer {
  readonly status: number;
  readonly body: string;
}

/**
 * Sends the head of a request and the first byte of its body, and holds back the rest. Resolves when the service has begun
 * to handle the request: it was asked to say so (`Expect: 100-continue`), and says so just before.
 */
export async function holdRequest(
  url: string,
  request: string,
  { headers, body }: { readonly headers: Readonly<Record<string, string>>; readonly body: Buffer },
): Promise<HeldRequest> {
  const { host, hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  let received = "";
  socket.on("data", (chunk) => {
    received += chunk.toString("utf8");
  });
  const ended = once(socket, "close");
  const lines = [
    `${request} HTTP/1.1`,
    `host: ${host}`,
    "connection: close",
    "expect: 100-continue",
    `content-length: ${body.length}`,
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  socket.write(`${lines.join("\r\n")}\r\n\r\n`);
  socket.write(body.subarray(0, 1));
  const sign = "HTTP/1.1 100 Continue\r\n\r\n";
  while (!received.startsWith(sign)) {
    if (socket.destroyed) throw new Error(`${request} was not begun: ${received}`);
    await Promise.race([once(socket, "data"), ended]);
  }
  const answer = ended.then(() => {
    const text = received.slice(sign.length);
    return { status: Number(text.slice(9, 12)), body: text.slice(text.indexOf("\r\n\r\n") + 4) };
  });
  return {
    answer,
    finish() {
      socket.write(body.subarray(1));
      return answer;
    },
  };
}
