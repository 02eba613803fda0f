import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let other: string;
beforeAll(async () => {
  service = await startTestService();
  const body = { name: "other" };
  other = (await send(service, "POST /v1/secret-keys", { headers: bearer(service.secretKey), body })).body.secretKey
    .value;
});
afterAll(() => service.close());

interface RawAnswer {
  readonly status: number;
  readonly text: string;
}

/** A request written by hand, since clients tidy up what they send. */
function sendRaw(requestLine: string, headers: readonly string[], body = ""): Promise<RawAnswer> {
  const { hostname, port } = new URL(service.url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname);
    let text = "";
    socket.setEncoding("latin1");
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => resolve({ status: Number(text.slice(9, 12)), text }));
    socket.on("error", reject);
    socket.write(
      `${requestLine} HTTP/1.1\r\n${[...headers, "Connection: close"].join("\r\n")}\r\n\r\n${body}`,
      "latin1",
    );
  });
}

const host = "Host: localhost";
const authorization = (key: string) => `Authorization: Bearer ${key}`;

describe("repeated headers", () => {
  test.each(["Authorization", "authorization", "AUTHORIZATION"])(
    "two different keys in %s are refused",
    async (name) => {
      for (const [first, second] of [
        [service.secretKey, other],
        [other, service.secretKey],
        [service.secretKey, "nonsense"],
      ]) {
        const answer = await sendRaw("GET /v1/me", [host, authorization(first as string), `${name}: Bearer ${second}`]);
        expect(answer).toMatchObject({ status: 400, text: expect.stringContaining("conflicting_credentials") });
      }
    },
  );

  test.each(["x-sazabi-secret-key", "x-sazabi-key", "X-API-Key"])(
    "two different keys in %s are refused",
    async (name) => {
      const answer = await sendRaw("GET /v1/me", [
        host,
        `${name}: ${service.secretKey}`,
        `${name.toLowerCase()}: ${other}`,
      ]);
      expect(answer).toMatchObject({ status: 400, text: expect.stringContaining("conflicting_credentials") });
    },
  );

  test("the same key twice is one key", async () => {
    const secret = authorization(service.secretKey);
    expect(await sendRaw("GET /v1/me", [host, secret, secret])).toMatchObject({ status: 200 });
    for (const name of ["x-sazabi-secret-key", "x-api-key"]) {
      const header = `${name}: ${service.secretKey}`;
      expect(
        await sendRaw("GET /v1/me", [
          host,
          header,
          header.toUpperCase().slice(0, name.length) + header.slice(name.length),
        ]),
      ).toMatchObject({ status: 200 });
    }
    const key = `x-sazabi-key: ${service.publicKey}`;
    const body = '{"message":"twice"}';
    const sent = await sendRaw(
      "POST /v1/logs",
      [host, key, key, "Content-Type: application/json", `Content-Length: ${body.length}`],
      body,
    );
    expect(sent).toMatchObject({ status: 202 });
  });

  test("a second key behind 3,000 other headers is seen", async () => {
    const many = Array.from({ length: 3_000 }, () => "a:");
    const answer = await sendRaw("GET /v1/me", [host, authorization(service.secretKey), ...many, authorization(other)]);
    expect(answer).toMatchObject({ status: 400, text: expect.stringContaining("conflicting_credentials") });
    const one = await sendRaw("GET /v1/me", [host, ...many, authorization(service.secretKey)]);
    expect(one).toMatchObject({ status: 200 });
  });

  test("two Host headers are refused, different or not, on every route", async () => {
    for (const second of ["Host: localhost", "host: elsewhere.example"]) {
      for (const path of ["/v1/me", "/healthz", "/nowhere"]) {
        const answer = await sendRaw(`GET ${path}`, [host, second, authorization(service.secretKey)]);
        expect(answer).toMatchObject({ status: 400, text: expect.stringContaining("Host") });
      }
    }
  });

  test("other headers of the same lengths may repeat", async () => {
    const headers = [
      "xabc: 1",
      "xabc: 2",
      "x-something-x: 1",
      "accept-xxxxxx: 1",
      "accept-xxxxxx: 2",
      "x-other-abcd: 1",
      "x-other-abce: 2",
    ];
    expect(await sendRaw("GET /v1/me", [host, authorization(service.secretKey), ...headers])).toMatchObject({
      status: 200,
    });
  });
});

describe("the URL", () => {
  const encode = (text: string, all = false) =>
    [...text].map((char) => (all || /\W|_/.test(char) ? `%${char.charCodeAt(0).toString(16)}` : char)).join("");
  const key = () => service.secretKey;

  test.each([
    ["as it is", () => key()],
    ["with its underscores encoded", () => encode(key())],
    ["encoded whole", () => encode(key(), true)],
    ["encoded twice", () => encode(key(), true).replaceAll("%", "%25")],
    ["encoded three times", () => encode(key(), true).replaceAll("%", "%2525")],
    ["in capital digits", () => encode(key()).replaceAll("%5f", "%5F")],
  ])("is refused with a key %s", async (_, write) => {
    for (const target of [`/v1/me?key=${write()}`, `/v1/${write()}`, `/healthz?x=%zz&y=${write()}`]) {
      const answer = await sendRaw(`GET ${target}`, [host, authorization(key())]);
      expect(answer).toMatchObject({ status: 400, text: expect.stringContaining("The URL holds a key") });
      expect(answer.text).not.toContain(key());
    }
  });

  test.each([
    "/v1/logs/1/../../me",
    "/v1/./me",
    "/v1/me/.",
    "/v1/x/..",
    "/../v1/me",
    "/v1/%2e%2e/v1/me",
    "/v1/%2E/me",
    "/v1/.%2e/me",
    "/%761/me",
    "/v1/m%65",
    "/v1/%6D%65",
    "/v1/secret%2Dkeys",
    "/v1/me%5F",
    "/v1\\me",
    "/v1/\\..\\me",
    "/v1/me#x",
    "/v1/me#/../y",
    "/v1/m\u00e9",
    "http://localhost/v1/../v1/me",
    "http://localhost/v1/m%65",
  ])("is refused with the path %s", async (path) => {
    const answer = await sendRaw(`GET ${path}`, [host, authorization(service.secretKey)]);
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain(service.organizationId);
  });

  test.each([
    ["/v1/me", 200],
    ["http://localhost/v1/me", 200],
    ["/v1/me?x=%2e%2e/../%6D", 200],
    ["/v1/projects?x=a_b", 200],
    ["/v1//me", 404],
    ["/v1/%2fme", 404],
    ["/v1/%256de", 404],
    ["/v1/..me", 404],
    ["/v1/.well-known", 404],
  ])("%s is routed as it is written", async (path, status) => {
    expect(await sendRaw(`GET ${path}`, [host, authorization(service.secretKey)])).toMatchObject({ status });
  });

  test("an index name of Elasticsearch may be encoded as its clients do", async () => {
    const body = '{"create":{}}\n{"message":"x"}\n';
    const sent = await send(service, `POST /${encodeURIComponent("<logs-{now/d}>")}/_bulk`, {
      headers: { "x-sazabi-key": service.publicKey, "content-type": "application/x-ndjson" },
      body,
    });
    expect(sent.status).toBe(200);
  });
});

describe("every answer", () => {
  const secret = () => bearer(service.secretKey);
  const publicKey = () => ({ "x-sazabi-key": service.publicKey });
  test.each<[string, string, () => Parameters<typeof send>[2]]>([
    ["a new key", "POST /v1/secret-keys", () => ({ headers: secret(), body: { name: "new" } })],
    ["a list of keys", "GET /v1/secret-keys", () => ({ headers: { "x-sazabi-secret-key": service.secretKey } })],
    ["the unversioned path", "GET /projects", () => ({ headers: secret() })],
    ["logs", "POST /v1/logs/query", () => ({ headers: secret(), body: {} })],
    ["intake", "POST /v1/logs", () => ({ headers: publicKey(), body: { message: "x" } })],
    ["OTLP", "POST /adapters/otlp", () => ({ headers: publicKey(), body: { resourceLogs: [] } })],
    ["Elasticsearch", "GET /", () => ({})],
    ["a preflight", "OPTIONS /v1/logs", () => ({ headers: { origin: "https://a.example" } })],
    ["no content", "POST /v1/keys/self/revoke", () => ({ headers: bearer(other) })],
    ["health", "GET /healthz", () => ({})],
    ["readiness", "GET /readyz", () => ({})],
    ["an error", "GET /v1/me", () => ({})],
    ["no such route", "GET /nowhere", () => ({})],
    ["a refused path", "GET /v1/m%65", () => ({})],
  ])("is not stored by a cache nor taken for another type: %s", async (_, request, options) => {
    const { headers } = await send(service, request, options());
    expect(headers.get("cache-control")).toMatch(/^no-store/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
  });

  test("a tail too", async () => {
    const abort = new AbortController();
    const { headers } = await fetch(new URL("/v1/tail", service.url), { headers: secret(), signal: abort.signal });
    expect(headers.get("cache-control")).toMatch(/^no-store/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    abort.abort();
  });
});
