import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

const publicKey = () => ({ "x-sazabi-key": service.publicKey });

function intake(body: unknown, headers: Record<string, string> = {}) {
  return send(service, "POST /v1/logs", { headers: { ...publicKey(), ...headers }, body });
}

const cursorOf = (text: string) => Buffer.from(text).toString("base64url");

async function search(body: object) {
  return (await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body })).body;
}

async function messages(query: string, more: object = {}): Promise<string[]> {
  const found = await search({ search: { query }, pagination: { limit: 1000 }, ...more });
  return found.data.map(({ message }: { message: string }) => message);
}

const ndjson = { "content-type": "application/x-ndjson" };
const unique = () => `m${randomBytes(6).toString("hex")}`;

describe("intake", () => {
  test.each([
    ["one object", (m: string) => [{ message: m }, {}] as const],
    ["an array", (m: string) => [[{ message: m }, { message: m }], {}] as const],
    ["{ logs: […] }", (m: string) => [{ logs: [{ message: m }, { message: m }, { message: m }] }, {}] as const],
    ["NDJSON", (m: string) => [`{"message":"${m}"}\n{"message":"${m}"}\n`, ndjson] as const],
    [
      "NDJSON sent as JSON",
      (m: string) => [`{"message":"${m}"}\n{"message":"${m}"}`, { "content-type": "application/json" }] as const,
    ],
    [
      "gzip",
      (m: string) =>
        [
          gzipSync(JSON.stringify([{ message: m }])),
          { "content-encoding": "gzip", "content-type": "application/json" },
        ] as const,
    ],
    ["a body without a type", (m: string) => [Buffer.from(JSON.stringify({ message: m })), {}] as const],
  ])("%s is stored when it is answered", async (_, make) => {
    const message = unique();
    const [body, headers] = make(message);
    const answer = await intake(body, headers);
    expect(answer).toMatchObject({ status: 202, body: { error: null } });
    expect(await messages(message)).toHaveLength(answer.body.data.accepted);
    expect(answer.body.data.accepted).toBeGreaterThan(0);
  });

  test("each entry has its own verdict: the good are stored, the bad are listed and counted", async () => {
    const message = unique();
    const answer = await intake([{ message }, {}, { message }, 5, null]);
    expect(answer).toMatchObject({ status: 202, body: { data: { accepted: 2, rejectedCount: 3 } } });
    expect(answer.body.data.rejected.map(({ index }: { index: number }) => index)).toEqual([1, 3, 4]);
    for (const rejection of answer.body.data.rejected) expect(rejection.message).toMatch(/\w/);
    expect(await messages(message)).toHaveLength(2);
  });

  test("at most 100 rejections are listed, all are counted", async () => {
    const answer = await intake([{ message: "good" }, ...Array.from({ length: 150 }, () => ({}))]);
    expect(answer.body.data.rejectedCount).toBe(150);
    expect(answer.body.data.rejected).toHaveLength(100);
  });

  test("none good: 400 with the reason of each", async () => {
    const answer = await intake([{}, 7]);
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
    expect(answer.body.issues).toHaveLength(2);
  });

  test.each([
    ["a NUL in the message", { message: "a\u0000b" }],
    ["a NUL in an attribute and its key", { message: "x", "k\u0000": "v\u0000" }],
    ["a lone surrogate", { message: "a\ud800b", attribute: "\udfff" }],
    ["a number as message", { message: 42 }],
    ["an object as message", { message: { a: 1 } }],
    ["a year far away", { message: "x", timestamp: "+300000-01-01T00:00:00Z" }],
    ["a timestamp in 1970", { message: "x", timestamp: 0 }],
    ["a timestamp in 2099", { message: "x", timestamp: "2099-01-01T00:00:00Z" }],
    ["a backslash at the end", { message: "C:\\", "back\\slash": "\\N" }],
    ["tabs, newlines and a copy terminator", { message: "a\tb\nc\r\n\\.\n" }],
    ["__proto__", JSON.parse('{"message":"x","__proto__":{"a":1},"constructor":"c"}')],
    ["a number beyond 2^53", '{"message":"x","n":123456789012345678901234567890}'],
  ])("%s is stored faithfully, and so is its neighbour", async (_, entry) => {
    const neighbour = unique();
    const text = typeof entry === "string" ? entry : JSON.stringify(entry);
    const answer = await intake(`[${text},{"message":"${neighbour}"}]`, { "content-type": "application/json" });
    expect(answer).toMatchObject({ status: 202, body: { data: { accepted: 2 } } });
    expect(await messages(neighbour)).toEqual([neighbour]);
  });

  test("what a sender wrote comes back as it was", async () => {
    const message = `${unique()} "quoted" \\ tab\t newline\n émoji 😀 %s $1`;
    const timestamp = new Date(Date.now() - 60_000).toISOString();
    await intake({
      message,
      level: "WARNING",
      service: "api",
      environment: "prod",
      timestamp,
      trace_id: "abc",
      span_id: "def",
      attributes: { http: { status: 500, ok: false }, list: [1, 2], empty: null },
    });
    const found = await search({ search: { query: message.slice(0, 13) } });
    expect(found.data[0]).toMatchObject({
      message,
      timestamp,
      level: "warn",
      severity: "WARN",
      service: "api",
      environment: "prod",
      trace_id: "abc",
      span_id: "def",
      projectId: service.projectId,
    });
    expect(found.data[0].attributes).toMatchObject({ "http.status": 500, "http.ok": false });
  });

  test.each([
    ["not JSON", "{", { "content-type": "application/json" }, 400],
    ["empty", "", { "content-type": "application/json" }, 400],
    ["a scalar", "5", { "content-type": "application/json" }, 400],
    ["in another charset", '{"message":"x"}', { "content-type": "application/json; charset=utf-16" }, 415],
    ["in an encoding we do not know", "x", { "content-encoding": "compress" }, 415],
    ["gzip that is none", "not gzip", { "content-encoding": "gzip" }, 400],
    ["gzip that ends early", gzipSync('{"message":"hello"}').subarray(0, 20), { "content-encoding": "gzip" }, 400],
    ["10,000 nested arrays", "[".repeat(10_000) + "]".repeat(10_000), { "content-type": "application/json" }, 400],
    [
      "deeply nested in an entry",
      `{"message":"x","a":${'{"a":'.repeat(5000)}1${"}".repeat(5000)}}`,
      { "content-type": "application/json" },
      400,
    ],
  ])("a body that is %s is refused in words", async (_, body, headers, status) => {
    const answer = await intake(body as string, headers as Record<string, string>);
    expect(answer.status).toBe(status);
    expect(answer.body.message).toMatch(/\w/);
  });

  test.each([
    ["10,001 entries", JSON.stringify(Array.from({ length: 10_001 }, () => ({ message: "x" }))), {}, "10000"],
    ["a body over 10 MiB", JSON.stringify({ message: "x".repeat(11 * 1024 * 1024) }), {}, "10"],
    ["a gzip bomb", gzipSync(Buffer.alloc(200 * 1024 * 1024)), { "content-encoding": "gzip" }, "10"],
  ])("%s is a 413 that names the limit", async (_, body, headers, limit) => {
    const answer = await intake(body, { "content-type": "application/json", ...headers });
    expect(answer).toMatchObject({ status: 413, body: { code: "PAYLOAD_TOO_LARGE" } });
    expect(answer.body.message).toContain(limit);
  });

  test("a line that is no JSON and holds a NUL does not sink the batch it came in, with an Idempotency-Key too", async () => {
    const message = unique();
    const body = `{"message":"${message}"}\n{"bad\u0000": \ud800\n`;
    const answer = await intake(body, { ...ndjson, "idempotency-key": unique() });
    expect(answer).toMatchObject({ status: 202, body: { data: { accepted: 1, rejectedCount: 1 } } });
    expect(await messages(message)).toHaveLength(1);
  });

  test("a small body cannot be made to grow without end by a long name over many members", async () => {
    const message = unique();
    const members = Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`m${index}`, index]));
    expect((await intake({ message, ["x".repeat(100_000)]: members })).status).toBe(202);
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select length(attributes::text) as length from logs where message = $1",
      [message],
    );
    expect(rows[0].length).toBeLessThan(250_000);
  });

  test("a refusal reaches a sender that is still sending, and its connection can be used again", async () => {
    const body = JSON.stringify({ message: "x".repeat(9 * 1024 * 1024) });
    for (let attempt = 0; attempt < 5; attempt++) {
      const refused = await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": "pk_live_wrong" }, body });
      expect(refused).toMatchObject({ status: 401, body: { reason: "malformed_api_key" } });
      expect((await intake({ message: "after a refusal" })).status).toBe(202);
    }
  });

  test("a retried batch with the same Idempotency-Key is stored once and answered alike", async () => {
    const message = unique();
    const headers = { "idempotency-key": unique() };
    const first = await intake([{ message }, {}], headers);
    const again = await intake([{ message }, {}], headers);
    expect(again.body).toEqual(first.body);
    expect(await messages(message)).toHaveLength(1);
  });

  test("ten retries at the same moment are stored once", async () => {
    const message = unique();
    const headers = { "idempotency-key": unique() };
    const answers = await Promise.all(Array.from({ length: 10 }, () => intake({ message }, headers)));
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(202));
    expect(await messages(message)).toHaveLength(1);
  });

  test("an Idempotency-Key that comes back with another body is refused, and nothing is lost in silence", async () => {
    const headers = { "idempotency-key": unique() };
    await intake({ message: unique() }, headers);
    expect(await intake({ message: unique() }, headers)).toMatchObject({ status: 409, body: { code: "CONFLICT" } });
  });

  test("ids ascend in the order of commits, also when many send at once", async () => {
    const message = unique();
    await Promise.all(Array.from({ length: 100 }, (_, index) => intake([{ message: `${message} ${index}` }])));
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select count(*)::int as rows, count(distinct id)::int as ids from logs where message like $1",
      [`${message}%`],
    );
    expect(rows[0]).toEqual({ rows: 100, ids: 100 });
  });

  test("the counts per minute agree with the rows", async () => {
    const { rows } = await queryDatabase(
      service.databaseUrl,
      "select (select count(*)::int from logs) as rows, (select sum(entries)::int from log_volume_complete) as volume",
    );
    expect(rows[0].volume).toBe(rows[0].rows);
    expect(rows[0].rows).toBeGreaterThan(100);
  });

  test("a browser on any page may send, and read nothing", async () => {
    const preflight = await send(service, "OPTIONS /v1/logs", {
      headers: {
        origin: "https://example.com",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,x-sazabi-key",
      },
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("access-control-allow-origin")).toBe("*");
    expect(preflight.headers.get("access-control-allow-headers")).toContain("x-sazabi-key");
    const refused = await send(service, "POST /v1/logs", { headers: { origin: "https://example.com" }, body: {} });
    expect([refused.status, refused.headers.get("access-control-allow-origin")]).toEqual([401, "*"]);
    const query = await send(service, "POST /v1/logs/query", { headers: publicKey(), body: {} });
    expect(query).toMatchObject({ status: 403, body: { reason: "wrong_key_type" } });
  });
});

describe("query", () => {
  const tag = unique();
  beforeAll(async () => {
    const base = Date.now() - 3_600_000;
    await intake(
      Array.from({ length: 50 }, (_, index) => ({
        message: `${tag} request ${index} took ${index * 10} ms`,
        level: index % 10 === 0 ? "error" : "info",
        service: index % 2 ? "api" : "web",
        // Ten entries share each timestamp.
        timestamp: base + Math.floor(index / 10) * 1000,
        status: index % 5 === 0 ? 500 : "200",
      })),
    );
  });

  test.each([
    ["a word", `${tag}`, 50],
    ["level", `${tag} level:error`, 5],
    ["severity in any case", `${tag} severity:ERROR`, 5],
    ["service", `${tag} service:api`, 25],
    ["an attribute that is a number", `${tag} status:500`, 10],
    ["an attribute that is a numeric string", `${tag} status:200`, 40],
    ["a phrase", `${tag} "took 40 ms"`, 1],
    ["not", `${tag} -level:error`, 45],
    ["OR", `${tag} (level:error OR service:api)`, 30],
    ["a comparison", `${tag} status:>=500`, 10],
    ["nothing", `${tag} nosuchword`, 0],
    ["a quote that would end a string", `${tag} it's`, 0],
  ])("%s is understood", async (_, query, count) => {
    expect(await messages(query)).toHaveLength(count);
  });

  test("words are looked for in the attributes too where there is no message, or where the request asks for it", async () => {
    const [word, other] = [unique(), unique()];
    await intake([
      { message: `a ${word}`, kind: "message", note: other },
      { message: "b", kind: "attribute", note: `a ${word}, of ${other}` },
      { kind: "none", note: `a ${word}, of ${other}`, more: "plugh" },
    ]);
    const kinds = async (query: string, more: object = {}) => {
      const { data } = await search({ search: { query, ...more } });
      return data.map(({ attributes }: { attributes: { kind: string } }) => attributes.kind).sort();
    };
    expect(await kinds(word)).toEqual(["message", "none"]);
    expect(await kinds(`${word} -plugh`)).toEqual(["message"]);
    expect(await kinds(`message:${word}`)).toEqual(["message"]);
    expect(await kinds(word, { mode: "any" })).toEqual(["message", "none"]);
    for (const fields of [["message"], ["body"]]) expect(await kinds(word, { fields })).toEqual(["message"]);
    expect(await kinds(word, { fields: ["attributes"] })).toEqual(["attribute", "none"]);
    expect(await kinds(word, { fields: ["message", "attributes"] })).toEqual(["attribute", "message", "none"]);
    expect(await kinds(`${word} ${other}`, { fields: ["body", "attributes"] })).toEqual([
      "attribute",
      "message",
      "none",
    ]);
    expect(await kinds(`a ${word}`, { mode: "phrase", fields: ["attributes"] })).toEqual(["attribute", "none"]);
    const refused = await search({ search: { query: word, fields: ["service"] } });
    expect(refused).toMatchObject({ code: "VALIDATION_ERROR" });
  });

  test.each([1, 7, 50])(
    "pages of %i hold every row exactly once, newest first, also with equal timestamps",
    async (limit) => {
      const seen: string[] = [];
      const times: string[] = [];
      let cursor: string | null = null;
      do {
        const page = await search({ search: { query: tag }, pagination: { limit, ...(cursor && { cursor }) } });
        expect(page.data.length).toBeLessThanOrEqual(limit);
        seen.push(...page.data.map(({ id }: { id: string }) => id));
        times.push(...page.data.map(({ timestamp }: { timestamp: string }) => timestamp));
        cursor = page.nextCursor;
      } while (cursor);
      expect(seen).toHaveLength(50);
      expect(new Set(seen).size).toBe(50);
      expect(times).toEqual([...times].sort().reverse());
    },
  );

  test("oldest first is the same list backwards", async () => {
    const newest = await messages(tag);
    expect(await messages(tag, { sort: { field: "timestamp", direction: "asc" } })).toEqual(newest.reverse());
  });

  test("a window is kept to: from included, to excluded, and told", async () => {
    const all = await search({ search: { query: tag }, pagination: { limit: 1000 } });
    const times = [...new Set<string>(all.data.map(({ timestamp }: { timestamp: string }) => timestamp))].sort();
    const filters = [
      { field: "timestamp", op: "gte", value: times[1] },
      { field: "timestamp", op: "lt", value: times[3] },
    ];
    const found = await search({ search: { query: tag }, filters, pagination: { limit: 1000 } });
    expect(found.data).toHaveLength(20);
    expect(found.meta).toMatchObject({ from: times[1], to: times[3] });
  });

  test("without a window the last 24 hours are searched", async () => {
    const message = unique();
    await intake([
      { message, timestamp: Date.now() - 25 * 3_600_000 },
      { message, timestamp: Date.now() - 23 * 3_600_000 },
    ]);
    expect(await messages(message)).toHaveLength(1);
    const filters = [{ field: "timestamp", op: "gte", value: new Date(Date.now() - 26 * 3_600_000).toISOString() }];
    expect(await messages(message, { filters })).toHaveLength(2);
  });

  test("filters mean what the language means", async () => {
    const found = await messages(tag, {
      filters: [
        { field: "severity", op: "eq", value: "ERROR" },
        { field: "status", op: "gte", value: 500 },
      ],
    });
    expect(found).toHaveLength(5);
  });

  test.each([
    ["a limit of 0", { pagination: { limit: 0 } }],
    ["a limit of 1001", { pagination: { limit: 1001 } }],
    ["a cursor of nobody", { pagination: { cursor: "hello" } }],
    ["a cursor with an id beyond all ids", { pagination: { cursor: cursorOf("1.1.9223372036854775808") } }],
    ["a cursor with a project beyond all projects", { pagination: { cursor: cursorOf("1.2147483648.1") } }],
    ["a time before the year 1", { filters: [{ field: "timestamp", op: "gte", value: "-271821-04-20T00:00:00Z" }] }],
    ["the year 0", { filters: [{ field: "timestamp", op: "gte", value: "0000-01-01T00:00:00Z" }] }],
    ["a time after the year 9999", { filters: [{ field: "timestamp", op: "lt", value: "+275760-09-13T00:00:00Z" }] }],
    ["a query of 4097 characters", { search: { query: "x".repeat(4097) } }],
    ["a query in the wrong place", { query: "level:error" }],
    ["a limit in the wrong place", { limit: 3 }],
    [
      "a window that ends before it begins",
      {
        filters: [
          { field: "timestamp", op: "between", value: { from: "2026-01-02T00:00:00Z", to: "2026-01-01T00:00:00Z" } },
        ],
      },
    ],
    ["a time that is none", { filters: [{ field: "timestamp", op: "gte", value: "yesterday" }] }],
    ["an operator that is none", { filters: [{ field: "x", op: "like", value: "y" }] }],
    ["sorting by something else", { sort: { field: "level" } }],
  ])("%s is refused in words", async (_, body) => {
    const answer = await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body });
    expect(answer).toMatchObject({ status: 400, body: { code: "VALIDATION_ERROR" } });
    expect(answer.body.message).toMatch(/\w/);
  });

  test("a project never sees another's rows, and a key for all projects sees both", async () => {
    const headers = bearer(service.secretKey);
    const other = (await send(service, "POST /v1/projects", { headers, body: { name: unique() } })).body.project;
    const key = (await send(service, "POST /v1/public-keys", { headers, body: { name: "other", projectId: other.id } }))
      .body.publicKey.value;
    const message = unique();
    await intake({ message: `${message} ours` });
    await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": key }, body: { message: `${message} theirs` } });
    expect(await messages(message, { projectId: other.id })).toEqual([`${message} theirs`]);
    expect(await messages(message, { projectId: service.projectId })).toEqual([`${message} ours`]);
    expect(await messages(message)).toHaveLength(2);
    const narrowed = (
      await send(service, "POST /v1/secret-keys", { headers, body: { name: "narrowed", projectId: other.id } })
    ).body.secretKey.value;
    const seen = await send(service, "POST /v1/logs/query", {
      headers: bearer(narrowed),
      body: { search: { query: message } },
    });
    expect(seen.body.data).toHaveLength(1);
    const named = await send(service, "POST /v1/logs/query", {
      headers: bearer(narrowed),
      body: { projectId: service.projectId },
    });
    expect(named.status).toBe(404);
  });
});

test("days past their retention are dropped with everything in them, and the rest stays", async () => {
  const old = await startTestService();
  try {
    const at = (daysAgo: number) => ({ message: `${daysAgo} days`, timestamp: Date.now() - daysAgo * 86_400_000 });
    await send(old, "POST /v1/logs", {
      headers: { "x-sazabi-key": old.publicKey },
      body: [at(0), at(3), at(9), at(20)],
    });
    await old.close({ keepDatabase: true });
    const shorter = await startTestService({ databaseUrl: old.databaseUrl, ...old.keyrings, logRetentionDays: 7 });
    const { rows } = await queryDatabase(old.databaseUrl, "select message from logs order by ts");
    const volume = await queryDatabase(old.databaseUrl, "select sum(entries)::int as entries from log_volume_complete");
    await shorter.close();
    expect(rows.map(({ message }) => message)).toEqual(["3 days", "0 days"]);
    expect(volume.rows[0].entries).toBe(2);
  } finally {
    await old.drop();
  }
});
