import { once } from "node:events";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { gunzipSync, gzipSync, inflateRawSync, inflateSync } from "node:zlib";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ProtobufReader } from "../../src/logs/ingest/formats/protobuf.ts";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { bearer, send } from "../support/index.ts";
import { type FuzzedRequest, malformedRequest } from "../support/malformed-requests.ts";
import { firstSecretKey, newServerSecrets, type Replica, startReplica } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";

const requestsWanted = scaled({ committed: 4_000, full: 200_000 });
const requestsPerRound = 500;
const clients = 8;
/** Another seed makes other requests; a failure names the one to repeat. */
const firstSeed = Number(process.env["FUZZ_SEED"] ?? 1);

let database: FreshDatabase;
let service: Replica;
let behind: pg.Pool;
let projects: readonly { readonly number: number; readonly publicKey: string }[];

beforeAll(async () => {
  database = await freshDatabase();
  service = await startReplica({ databaseUrl: database.url, secrets: newServerSecrets() });
  behind = new pg.Pool({ connectionString: database.url, options: "-c search_path=sazabi,public", max: 2 });
  projects = await Promise.all(Array.from({ length: clients }, (_, at) => makeProject(`fuzz ${at}`)));
});
afterAll(async () => {
  await service.stop();
  await behind.end();
  await database.drop();
});

async function makeProject(name: string) {
  const headers = bearer(firstSecretKey(service));
  const { project } = (await send(service, "POST /v1/projects", { headers, body: { name } })).body;
  const { publicKey } = (
    await send(service, "POST /v1/public-keys", { headers, body: { name, projectId: project.id } })
  ).body;
  const { rows } = await behind.query("select number from projects where id = $1", [project.id]);
  return { number: rows[0].number as number, publicKey: publicKey.value as string };
}

test(
  `of ${requestsWanted} malformed requests none is answered 5xx, and what is found is what was said to be accepted`,
  async () => {
    const statuses = new Map<number, number>();
    const paths = new Map<string, { accepted: number; refused: number }>();
    let next = firstSeed;
    const end = firstSeed + requestsWanted;

    async function client({ number, publicKey }: (typeof projects)[number]): Promise<void> {
      let expected = 0;
      while (next < end) {
        const round: string[] = [];
        for (let turn = 0; turn < requestsPerRound && next < end; turn++) {
          const seed = next++;
          const request = malformedRequest(seed, publicKey);
          const { status, stored } = await ask(request, seed);
          statuses.set(status, (statuses.get(status) ?? 0) + 1);
          const counts = paths.get(request.path) ?? { accepted: 0, refused: 0 };
          counts[status < 300 ? "accepted" : "refused"] += 1;
          paths.set(request.path, counts);
          if (stored > 0) round.push(`${seed} ${request.path} ${status}: ${stored}`);
          expected += stored;
        }
        const { rows } = await behind.query("select count(*)::int as count from logs where project_number = $1", [
          number,
        ]);
        expect(rows[0].count, `stored otherwise than answered, among\n${round.join("\n")}`).toBe(expected);
      }
    }

    await Promise.all(projects.map(client));
    console.log(JSON.stringify({ statuses: Object.fromEntries([...statuses].sort()), memory: memory() }));
    expect([...statuses.keys()].filter((status) => status >= 500)).toEqual([]);
    // A fuzz that is only refused, or never, looks at nothing.
    for (const [path, { accepted, refused }] of paths) {
      expect([path, accepted > 0, refused > 0]).toEqual([path, true, true]);
    }
    expect(service.output().stderr).not.toMatch(/request failed|"level":"error"/);
  },
  scaled({ committed: 120_000, full: 3_600_000 }),
);

test("bodies that would grow, and bodies that do not end, cost no more memory than their limit", async () => {
  const { publicKey } = projects[0] as (typeof projects)[number];
  const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024, "{"), { level: 9 });
  const resource = { resource: { attributes: [{ key: "a", value: { stringValue: "x".repeat(4_000_000) } }] } };
  const records = Array.from({ length: 9_000 }, () => ({ body: { stringValue: "x" } }));
  const shared = gzipSync(JSON.stringify({ resourceLogs: [{ ...resource, scopeLogs: [{ logRecords: records }] }] }));
  const deep = Buffer.from("[".repeat(9_000_000));
  for (let turn = 0; turn < scaled({ committed: 3, full: 50 }); turn++) {
    const answers = await Promise.all(
      [bomb, shared, deep, bomb].map((body, at) =>
        fetch(new URL("/v1/logs", service.url), {
          method: "POST",
          headers: {
            "x-sazabi-key": publicKey,
            "content-type": "application/json",
            ...(at !== 2 && { "content-encoding": "gzip" }),
          },
          body: new Uint8Array(body),
        }).then(async (response) => [response.status, (await response.text()).length > 0]),
      ),
    );
    expect(answers).toEqual([413, 413, 400, 413].map((status) => [status, true]));
    await cutOff(publicKey);
  }
  // A process that stood still a moment ago says so for some seconds.
  await expect.poll(async () => (await fetch(new URL("/readyz", service.url))).status, { timeout: 30_000 }).toBe(200);
  const { peakMiB } = memory();
  console.log(JSON.stringify({ memory: memory() }));
  if (peakMiB !== undefined) expect(peakMiB).toBeLessThan(512);
}, 300_000);

/** A connection that breaks in the middle of a body. */
async function cutOff(publicKey: string): Promise<void> {
  const { hostname, port } = new URL(service.url);
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  socket.write(
    `POST /v1/logs HTTP/1.1\r\nhost: x\r\nx-sazabi-key: ${publicKey}\r\ncontent-type: application/x-ndjson\r\ncontent-length: 100000\r\n\r\n{"message":"half"}\n`,
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  socket.destroy();
}

/** Sends a request and says how many entries the answer claims to be stored. */
async function ask(request: FuzzedRequest, seed: number): Promise<{ status: number; stored: number }> {
  const response = await fetch(new URL(request.path, service.url), {
    method: "POST",
    headers: headersOf(request),
    body: new Uint8Array(request.body),
  }).catch((error: unknown) => {
    throw new Error(`no answer to seed ${seed}`, { cause: error });
  });
  const answer = Buffer.from(await response.arrayBuffer());
  if (response.status >= 300) return { status: response.status, stored: 0 };
  return { status: response.status, stored: claimed(request, response, answer) };
}

/** As bytes on the wire may be: a header is no more than Latin-1. */
function headersOf({ headers }: FuzzedRequest): Headers {
  const sent = new Headers();
  for (const [name, value] of Object.entries(headers)) sent.set(name, value);
  return sent;
}

function claimed(request: FuzzedRequest, { status }: Response, answer: Buffer): number {
  if (request.path.endsWith("_bulk")) {
    const { items } = JSON.parse(answer.toString());
    return items.filter((item: object) => Object.values(item)[0].status === 201).length;
  }
  if (status === 202) return JSON.parse(answer.toString()).data.accepted;
  const body = decompressed(request);
  if (request.path.startsWith("/loki")) {
    if (status === 200) return JSON.parse(answer.toString()).data.accepted;
    const { streams } = JSON.parse(textOf(body));
    return streams.reduce((sum: number, { values = [] }: { values?: unknown[] }) => sum + values.length, 0);
  }
  if (request.headers["content-type"]?.includes("protobuf"))
    return recordsInProtobuf(body) - rejectedInProtobuf(answer);
  const { rejectedLogRecords = "0" } = JSON.parse(answer.toString()).partialSuccess;
  return recordsInJson(body) - Number(rejectedLogRecords);
}

function decompressed({ headers, body }: FuzzedRequest): Buffer {
  const encoding = headers["content-encoding"]?.toLowerCase();
  if (body.length === 0) return body;
  if (encoding === "gzip") return gunzipSync(body);
  if (encoding === "deflate") return ((body[0] as number) & 15) === 8 ? inflateSync(body) : inflateRawSync(body);
  return body;
}

/** As a decoder that drops a byte order mark. */
function textOf(bytes: Buffer): string {
  return new TextDecoder().decode(bytes);
}

function recordsInJson(bytes: Buffer): number {
  // biome-ignore lint/suspicious/noExplicitAny: whatever was sent.
  const request = JSON.parse(textOf(bytes)) as any;
  let count = 0;
  for (const resourceLogs of request.resourceLogs ?? []) {
    for (const scopeLogs of resourceLogs.scopeLogs ?? []) count += scopeLogs.logRecords?.length ?? 0;
  }
  return count;
}

function recordsInProtobuf(bytes: Buffer): number {
  const count = (reader: ProtobufReader, path: readonly number[]): number => {
    const [field, ...rest] = path;
    if (field === undefined) return 1;
    let sum = 0;
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      if (tag === field * 8 + 2) sum += count(reader.message(), rest);
      else reader.skip(tag);
    }
    return sum;
  };
  return count(new ProtobufReader(bytes), [1, 2, 2]);
}

function rejectedInProtobuf(answer: Buffer): number {
  const response = new ProtobufReader(answer);
  if (response.tag() === 0) return 0;
  const partial = response.message();
  partial.tag();
  return Number(partial.int64());
}

/** Of the service's process, as Linux counts it. */
function memory(): { readonly peakMiB?: number; readonly nowMiB?: number } {
  if (process.platform !== "linux") return {};
  const status = readFileSync(`/proc/${service.process.pid}/status`, "utf8");
  const mebibytes = (name: string) => Math.round(Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) / 1024);
  return { peakMiB: mebibytes("VmHWM"), nowMiB: mebibytes("VmRSS") };
}
