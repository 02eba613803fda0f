import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { AttackerKeys } from "./hostile-bodies.ts";

/** Requests that are made to keep others from the service, in another way than by the size of a body. */
export interface HostileRequests {
  readonly name: string;
  /** Goes on until the signal is aborted. Returns the statuses of what was answered. */
  readonly attack: (url: string, keys: AttackerKeys, signal: AbortSignal) => Promise<readonly number[]>;
}

/** Many characters, none beside another: a class that no few ranges hold. */
const scattered = Array.from({ length: 1_200 }, (_, at) => String.fromCodePoint(0x4e00 + 2 * at)).join("");

export const hostileRequests: readonly HostileRequests[] = [
  {
    name: "tails whose expression is expensive",
    attack: (url, keys, signal) => {
      const query = `/[${scattered}]{100}b?$/`;
      const entry = { message: scattered.at(-1)?.repeat(20_000) };
      return repeat(4, signal, async () => {
        const ended = new AbortController();
        const tail = await request(url, `GET /v1/tail?query=${encodeURIComponent(query)}`, keys, {
          signal: ended.signal,
        });
        const sent = await request(url, "POST /v1/logs", keys, { body: entry });
        await Promise.race([tail.text().catch(() => ""), rest(500)]);
        ended.abort();
        return [tail.status, sent.status];
      });
    },
  },
  {
    name: "tails that nobody reads",
    attack: async (url, keys, signal) => {
      const tails = await Promise.all(Array.from({ length: 60 }, () => openUnreadTail(url, keys.secretKey)));
      const statuses = await repeat(2, signal, async () => {
        const body = Array.from({ length: 50 }, () => ({ message: "x".repeat(20_000) }));
        return [(await request(url, "POST /v1/logs", keys, { body })).status];
      });
      for (const tail of tails) tail.destroy();
      return statuses;
    },
  },
  {
    name: "slow native queries",
    attack: (url, keys, signal) => {
      const query = "select sum(ln(1.000123::numeric(1000,900) + g)) from generate_series(1,100000000) g";
      return repeat(18, signal, async () => [
        (await request(url, "POST /v1/logs/native-query", keys, { body: { query }, signal })).status,
      ]);
    },
  },
  {
    name: "slow searches",
    attack: async (url, keys, signal) => {
      const body = Array.from({ length: 100 }, () => ({ message: "ab".repeat(20_000) }));
      await request(url, "POST /v1/logs", keys, { body });
      const search = { search: { query: "/(a|b|ab)*(a|ba|c)*(ab|a|b|d)*x.*y/" } };
      return repeat(18, signal, async () => [
        (await request(url, "POST /v1/logs/query", keys, { body: search, signal })).status,
      ]);
    },
  },
  {
    name: "searches for control characters that were planted",
    attack: async (url, keys, signal) => {
      for (let sent = 0; sent < 10; sent++) {
        const body = Array.from({ length: 6 }, () => ({ message: "\u0001".repeat(262_000) }));
        await request(url, "POST /v1/logs", keys, { body });
      }
      return repeat(4, signal, async () => {
        const answer = await request(url, "POST /v1/logs/query", keys, { body: {}, signal });
        await answer.arrayBuffer();
        return [answer.status];
      });
    },
  },
  {
    name: "large answers that nobody reads",
    attack: async (url, keys, signal) => {
      for (let sent = 0; sent < 2; sent++) {
        const body = Array.from({ length: 36 }, () => ({ message: "y".repeat(250_000) }));
        await request(url, "POST /v1/logs", keys, { body });
      }
      const sockets: Socket[] = [];
      await repeat(4, signal, async () => {
        const socket = await openSocket(url);
        sockets.push(socket);
        socket.pause();
        const body = '{"pagination":{"limit":1000}}';
        socket.write(
          `POST /v1/logs/query HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${keys.secretKey}\r\n` +
            `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
        );
        await rest(20);
        return [];
      });
      for (const socket of sockets) socket.destroy();
      return [];
    },
  },
  {
    name: "keys that are made one after the other",
    attack: (url, keys, signal) =>
      repeat(24, signal, async () => [
        (await request(url, "POST /v1/secret-keys", keys, { body: { name: "many" } })).status,
      ]),
  },
  {
    name: "300 connections that send half a request",
    attack: async (url, _keys, signal) => {
      const sockets = await Promise.all(Array.from({ length: 300 }, () => openSocket(url)));
      for (const socket of sockets) socket.write("GET /v1/me HTTP/1.1\r\nhost: x\r\nx-half: ");
      await aborted(signal);
      for (const socket of sockets) socket.destroy();
      return [];
    },
  },
];

interface Sent {
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/** To the intake with the public key, to all else with the secret one. */
function request(url: string, line: string, keys: AttackerKeys, { body, signal }: Sent = {}): Promise<Response> {
  const [method, path] = line.split(" ") as [string, string];
  const isIntake = path === "/v1/logs";
  return fetch(new URL(path, url), {
    method,
    headers: {
      connection: "close",
      ...(isIntake ? { "x-sazabi-key": keys.publicKey } : { authorization: `Bearer ${keys.secretKey}` }),
      ...(body !== undefined && { "content-type": "application/json" }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    ...(signal && { signal }),
  });
}

/** So many loops at once. One that is refused rests before it goes on. */
async function repeat(
  count: number,
  signal: AbortSignal,
  once: () => Promise<readonly number[]>,
): Promise<readonly number[]> {
  const statuses: number[] = [];
  const loop = async () => {
    while (!signal.aborted) {
      const answered = await once().catch((error: unknown) => {
        if (signal.aborted) return [];
        throw error;
      });
      statuses.push(...answered);
      if (answered.some((status) => status === 429 || status === 503)) await rest(50);
    }
  };
  await Promise.all(Array.from({ length: count }, loop));
  return statuses;
}

async function openSocket(url: string): Promise<Socket> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

async function openUnreadTail(url: string, key: string): Promise<Socket> {
  const socket = await openSocket(url);
  socket.pause();
  socket.write(`GET /v1/tail?cursor=1 HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${key}\r\n\r\n`);
  return socket;
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}

const rest = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
