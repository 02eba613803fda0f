import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SazabiAdmin } from "@sazabi/sdk";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { addressList, parseAddressRange } from "../src/net/ip-ranges.ts";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
let home: string;
const github = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const other = generateKeyPairSync("ec", { namedCurve: "prime256v1" });

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), "sazabi-reports-"));
  const key = github.publicKey.export({ type: "spki", format: "pem" });
  const githubScanningKeys = join(home, "github-keys.json");
  await writeFile(
    githubScanningKeys,
    JSON.stringify({ public_keys: [{ key_identifier: "one", key, is_current: true }] }),
  );
  const loopback = ["127.0.0.0/8", "::1"].map((range) => parseAddressRange(range));
  service = await startTestService({
    githubScanningKeys,
    metrics: { host: "127.0.0.1", port: 0 },
    trustedProxies: addressList(loopback as Parameters<typeof addressList>[0]),
  });
});
afterEach(() => vi.restoreAllMocks());
afterAll(async () => {
  await service.close();
  await rm(home, { recursive: true, force: true });
});

let addresses = 0;
/** An address that has not reported anything yet. */
const freshAddress = () => ({ "x-forwarded-for": `10.1.${Math.floor(addresses / 250)}.${(addresses++ % 250) + 1}` });
const report = (body: unknown, headers = freshAddress()) => send(service, "POST /v1/keys/report", { headers, body });

async function newKey(name: string): Promise<{ id: string; value: string }> {
  const made = await send(service, "POST /v1/secret-keys", { headers: bearer(service.secretKey), body: { name } });
  return made.body.secretKey;
}

async function reportsOf(id: string) {
  const list = `GET /v1/audit?action=secret_key.reported&targetId=${id}`;
  return (await send(service, list, { headers: bearer(service.secretKey) })).body.events;
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(service.metricsUrl as string)).text();
  return Number(
    text
      .split("\n")
      .find((candidate) => candidate.startsWith(`${line} `))
      ?.slice(line.length + 1),
  );
}

test("a report of a found key tells its owner where it was found, and revokes nothing", async () => {
  const key = await newKey("leaked");
  const written: string[] = [];
  vi.spyOn(process.stdout, "write").mockImplementation((text) => written.push(String(text)) > 0);
  const answer = await report({
    key: key.value,
    url: `https://example.com/file?${key.value}`,
    source: "a public repository",
    note: `It reads ${key.value}.`,
  });
  expect(answer).toMatchObject({ status: 202, body: { received: true } });
  await expect.poll(() => reportsOf(key.id), { timeout: 10_000 }).toHaveLength(1);
  const [event] = await reportsOf(key.id);
  expect(event).toMatchObject({
    actor: { kind: "system", name: "key report" },
    target: { kind: "secret_key", id: key.id, name: "leaked" },
    details: { state: "live", source: "a public repository", url: "https://example.com/file?…", note: "It reads …." },
    address: expect.stringMatching(/^10\.1\./),
  });
  expect(JSON.stringify(event)).not.toContain(key.value);
  expect(written.join("")).toContain(key.id);
  expect(written.join("")).not.toContain(key.value);
  expect((await send(service, "GET /v1/me", { headers: bearer(key.value) })).status).toBe(200);
  const admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
  expect(await admin.audit.verify()).toMatchObject({ ok: true });
});

test("the answer is the same for a live key, a revoked one, a public one, one of nobody and none at all", async () => {
  const revoked = await newKey("revoked");
  await send(service, `DELETE /v1/secret-keys/${revoked.id}`, { headers: bearer(service.secretKey) });
  const live = await newKey("live");
  const texts = [live.value, revoked.value, service.publicKey, `${live.value.slice(0, -1)}0`, "not a key at all"];
  const answers = [];
  for (const key of texts) {
    const { status, text, headers } = await report({ key });
    const names = [...headers].filter(([name]) => name !== "x-request-id" && name !== "date");
    answers.push(JSON.stringify([status, text, names]));
  }
  expect(new Set(answers).size).toBe(1);
  await expect.poll(() => reportsOf(live.id), { timeout: 10_000 }).toHaveLength(1);
  await expect
    .poll(() => reportsOf(revoked.id), { timeout: 10_000 })
    .toMatchObject([{ details: { state: "revoked" } }]);
  await expect.poll(() => metric('sazabi_key_reports_total{kind="unknown"}'), { timeout: 10_000 }).toBe(2);
  expect(await metric('sazabi_key_reports_total{kind="public"}')).toBe(1);
});

test("an address reports a few times a minute, and a key is on record a few times an hour", async () => {
  const key = await newKey("reported often");
  const headers = freshAddress();
  const statuses = [];
  for (let index = 0; index < 20; index++) statuses.push((await report({ key: key.value }, headers)).status);
  expect(statuses).toContain(429);
  expect(statuses.filter((status) => status === 202).length).toBeLessThan(20);
  for (let index = 0; index < 12; index++) expect((await report({ key: key.value })).status).toBe(202);
  await expect.poll(() => metric("sazabi_key_reports_waiting"), { timeout: 10_000 }).toBe(0);
  expect(await reportsOf(key.id)).toHaveLength(10);
});

test.each([
  ["no key", {}, 400],
  ["a member that is none of the report's", { key: "12345678", revoke: true }, 400],
  ["a control character", { key: "12345678", note: "a\u0000b" }, 400],
  ["half a surrogate pair", { key: "12345678", url: "\ud800" }, 400],
  ["too long a note", { key: "12345678", note: "x".repeat(1001) }, 400],
  ["too large a body", { key: "12345678", note: "x".repeat(20_000) }, 413],
])("a report with %s is refused", async (_, body, status) => {
  expect(await report(body)).toMatchObject({ status });
});

test("reports wait while the database is away", async () => {
  const { KeyReports } = await import("../src/keys/reports/key-reports.ts");
  let isAway = true;
  const asked: string[] = [];
  const keys = {
    findIn: async (_: unknown, key: string) => {
      asked.push(key);
      if (isAway) throw Object.assign(new Error("away"), { code: "ECONNREFUSED" });
      return undefined;
    },
  };
  const reports = new KeyReports({} as never, keys as never);
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  const found = (key: string) => ({ key, reporter: "key report", address: "10.0.0.1", requestId: "r" });
  for (let index = 0; index < 1_000; index++) reports.accept(found(`key ${index}`));
  expect(() => reports.accept(found("one too many"))).toThrow(/Too many reports/);
  await expect.poll(() => asked.length).toBeGreaterThan(0);
  isAway = false;
  await expect.poll(() => reports.waiting, { timeout: 10_000 }).toBe(0);
  expect(new Set(asked).size).toBe(1_000);
  await reports.close();
});

function signed(matches: unknown, key = github.privateKey, identifier = "one") {
  const body = JSON.stringify(matches);
  const signature = sign("sha256", Buffer.from(body), key).toString("base64");
  return {
    body,
    headers: {
      "content-type": "application/json",
      "github-public-key-identifier": identifier,
      "github-public-key-signature": signature,
      ...freshAddress(),
    },
  };
}

test("GitHub's message is answered with a label for each match, and tells the owners", async () => {
  const key = await newKey("on GitHub");
  const url = "https://github.com/octocat/Hello-World/blob/main/foo/bar.txt";
  const matches = [
    { token: key.value, type: "sazabi_secret_key", url, source: "content" },
    { token: "sk_live_nobody's", type: "sazabi_secret_key", url: "", source: "commit", added_later: 1 },
    { token: service.publicKey, type: "sazabi_secret_key", url: null, source: null },
  ];
  const answer = await send(service, "POST /v1/keys/report/github", signed(matches));
  expect(answer.status, answer.text).toBe(200);
  const hash = (token: string) => createHash("sha256").update(token).digest("hex");
  expect(answer.body).toEqual([
    { token_hash: hash(key.value), token_type: "sazabi_secret_key", label: "true_positive" },
    { token_hash: hash("sk_live_nobody's"), token_type: "sazabi_secret_key", label: "false_positive" },
    { token_hash: hash(service.publicKey), token_type: "sazabi_secret_key", label: "false_positive" },
  ]);
  expect(await reportsOf(key.id)).toMatchObject([
    { actor: { kind: "system", name: "GitHub secret scanning" }, details: { url, source: "content" } },
  ]);
  expect((await send(service, "GET /v1/me", { headers: bearer(key.value) })).status).toBe(200);
});

test("a message that GitHub did not sign is refused", async () => {
  const matches = [{ token: "12345678", type: "t", url: "", source: "content" }];
  const good = signed(matches);
  const without = (name: string) =>
    Object.fromEntries(Object.entries(good.headers).filter(([header]) => header !== name)) as Record<string, string>;
  const wrong = [
    signed(matches, other.privateKey),
    signed(matches, github.privateKey, "two"),
    { ...good, body: `${good.body} ` },
    { ...good, headers: { ...good.headers, "github-public-key-signature": "not base64!" } },
    { ...good, headers: without("github-public-key-signature") },
    { ...good, headers: without("github-public-key-identifier") },
  ];
  for (const message of wrong) {
    expect(await send(service, "POST /v1/keys/report/github", message)).toMatchObject({ status: 401 });
  }
  expect(await send(service, "POST /v1/keys/report/github", signed({ token: "x" }))).toMatchObject({ status: 400 });
});

test("GitHub's format is refused where its keys are not configured, and a wrong file stops the start", async () => {
  const plain = await startTestService();
  const refused = await send(plain, "POST /v1/keys/report/github", signed([]));
  expect(refused).toMatchObject({
    status: 404,
    body: { message: expect.stringContaining("SAZABI_GITHUB_SCANNING_KEYS") },
  });
  await plain.close();
  const file = join(home, "wrong.json");
  await writeFile(file, '{"public_keys":[{"key_identifier":"one","key":"none"}]}');
  await expect(startTestService({ githubScanningKeys: file })).rejects.toThrow(/SAZABI_GITHUB_SCANNING_KEYS/);
});
