import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, queryDatabase } from "../support/index.ts";
import { type OwnPostgres, openOwnPostgres } from "../support/own-postgres.ts";
import { newServerSecrets, type Replica, startReplica } from "../support/replica.ts";

const serverSecrets = newServerSecrets();
let postgres: OwnPostgres;
let service: Replica;
/** Every answer that was not meant to carry a key. */
const answers: string[] = [];
const canaries: string[] = [];

beforeAll(async () => {
  postgres = await openOwnPostgres();
  service = await startReplica({ databaseUrl: postgres.url, secrets: serverSecrets });
});
afterAll(async () => {
  await service.stop();
  await postgres.close();
});

interface Asked {
  readonly headers?: Record<string, string>;
  readonly body?: unknown;
}

// biome-ignore lint/suspicious/noExplicitAny: a test looks into any body.
async function ask(request: string, { headers = {}, body }: Asked = {}): Promise<any> {
  const [method, path] = request.split(" ") as [string, string];
  const response = await fetch(`${service.url}${path}`, {
    method,
    headers: { ...(typeof body === "object" && { "content-type": "application/json" }), ...headers },
    body: body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  const made = response.status === 201 ? JSON.parse(text) : undefined;
  const key = made?.secretKey?.value ?? made?.publicKey?.value;
  if (key) canaries.push(key);
  answers.push(
    `${request.replace(/[sp]k_live_\w+/, "<key>")} ${response.status} ${headersOf(response)}\n${key ? text.replaceAll(key, "") : text}`,
  );
  return made;
}

function headersOf({ headers }: Response): string {
  return [...headers].map(([name, value]) => `${name}: ${value}`).join("\n");
}

/** A life of keys, as it should be. */
async function useKeys(): Promise<{ admin: string; spare: { id: string; value: string }; publicKey: string }> {
  const [admin, firstPublic] = ["secret", "public"].map(
    (kind) => new RegExp(`${kind} key {2}(\\S+)`).exec(service.output().stdout)?.[1] as string,
  ) as [string, string];
  canaries.push(admin, firstPublic);
  const owner = { headers: bearer(admin) };
  const { secretKey: spare } = await ask("POST /v1/secret-keys", { ...owner, body: { name: "spare" } });
  const kept = { headers: { ...owner.headers, "idempotency-key": "canary" } };
  for (let retry = 0; retry < 2; retry++) await ask("POST /v1/secret-keys", { ...kept, body: { name: "idempotent" } });
  const { secretKey: rotating } = await ask("POST /v1/secret-keys", {
    ...owner,
    body: { name: "rotating", style: "sazabi" },
  });
  await ask(`POST /v1/secret-keys/${rotating.id}/rotate`, { ...owner, body: { graceSeconds: 60 } });
  await ask("GET /v1/me", { headers: bearer(rotating.value) });
  await ask(`POST /v1/secret-keys/${rotating.id}/rotate/finish`, owner);
  await ask("GET /v1/me", { headers: bearer(rotating.value) });
  await ask(`DELETE /v1/secret-keys/${rotating.id}?reason=done`, owner);
  const { publicKey } = await ask("POST /v1/public-keys", { ...owner, body: { name: "browser" } });
  await ask("POST /v1/logs", { headers: { "x-sazabi-key": publicKey.value }, body: { message: "hello" } });
  for (const list of ["secret-keys", "public-keys", "audit"]) await ask(`GET /v1/${list}`, owner);
  return { admin, spare, publicKey: publicKey.value };
}

/** Everywhere a key ends up by mistake. Not in a log entry: what is sent as a log is kept as it was sent. */
async function misplaceKeys(admin: string, { id, value }: { id: string; value: string }, publicKey: string) {
  const owner = bearer(admin);
  const changes = (headers: Record<string, string>) =>
    ask(`PATCH /v1/secret-keys/${id}`, { headers: { ...owner, ...headers }, body: { name: "renamed" } });
  for (const path of [`/v1/projects?key=${value}`, `/v1/projects/${value}`, `/${value}`, `/v1/audit?action=${value}`]) {
    await ask(`GET ${path}`, { headers: owner });
    await ask(`GET ${path}`);
  }
  for (const authorization of [
    `Basic ${value}`,
    `Bearer${value}`,
    value,
    `Bearer ${value}x`,
    `Bearer ${value} ${value}`,
  ]) {
    await ask("GET /v1/me", { headers: { authorization } });
  }
  await ask("GET /v1/me", { headers: { ...owner, "x-api-key": value } });
  for (const name of [
    "user-agent",
    "x-request-id",
    "idempotency-key",
    "referer",
    "cookie",
    "x-forwarded-for",
    "origin",
  ]) {
    await changes({ [name]: value });
    await ask("POST /v1/secret-keys", { headers: { ...owner, [name]: value }, body: { name: "made" } });
    await ask("POST /v1/logs", {
      headers: { "x-sazabi-key": publicKey, [name]: value },
      body: { message: "odd header" },
    });
  }
  await changes({ "content-type": value });
  for (const body of [
    { name: value },
    { name: "n", scopes: [value] },
    { name: "n", expiresAt: value },
    { [value]: 1 },
  ]) {
    await ask("POST /v1/secret-keys", { headers: owner, body });
    await ask("POST /v1/projects", { headers: owner, body });
  }
  await ask("POST /v1/secret-keys", { headers: owner, body: `{"name": ${value}}` });
  await ask("POST /v1/keys/revoke-all", { headers: owner, body: { except: [value] } });
  await ask("POST /v1/keys/revoke-all", { headers: owner, body: { unusedForDays: 3000, reason: value } });
}

/** What the service cannot do, so that PostgreSQL and the service have something to complain about. */
async function fail(admin: string): Promise<void> {
  const cut = queryDatabase(
    postgres.url,
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1",
    [service.name],
  );
  await Promise.all([
    cut,
    ...Array.from({ length: 10 }, () => ask("POST /v1/secret-keys", { headers: bearer(admin), body: { name: "cut" } })),
  ]);
  await queryDatabase(postgres.url, "alter table keys add constraint broken check (name <> 'broken')");
  await ask("POST /v1/secret-keys", { headers: bearer(admin), body: { name: "broken" } });
}

/** A secret as it is, in hexadecimal, and in base64 whatever comes before it. */
function traces(secret: Buffer): readonly Buffer[] {
  const hex = secret.toString("hex");
  const base64 = [0, 1, 2].map((offset) => {
    const shifted = Buffer.concat([Buffer.alloc(offset), secret]).toString("base64");
    return shifted.slice(offset === 0 ? 0 : 4, -4);
  });
  return [secret, Buffer.from(hex), Buffer.from(hex.toUpperCase()), ...base64.map((text) => Buffer.from(text))];
}

function secretPart(key: string): Buffer {
  return Buffer.from(key.slice(key.lastIndexOf("_") + 1));
}

async function everyFile(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

test("no secret is in the database's files, its log, the service's output or an answer, wherever it was sent by mistake", async () => {
  const { admin, spare, publicKey } = await useKeys();
  await misplaceKeys(admin, spare, publicKey);
  await fail(admin);
  await sleep(1_500); // Uses are written once a second.
  await queryDatabase(postgres.url, "checkpoint");
  const { stdout, stderr } = service.output();
  const welcome = stdout.slice(0, stdout.indexOf("logs query"));

  const files = await everyFile(postgres.home);
  const written: [string, Buffer][] = await Promise.all(
    files.map(async (file): Promise<[string, Buffer]> => [file.slice(postgres.home.length), await readFile(file)]),
  );
  written.push(["stdout", Buffer.from(stdout.slice(welcome.length))], ["stderr", Buffer.from(stderr)]);
  for (const answer of answers) written.push([`answer to ${answer.split("\n")[0]}`, Buffer.from(answer)]);

  const rings = [serverSecrets.pepper, serverSecrets.masterKey].map((ring) => Buffer.from(ring.slice(2), "base64"));
  const secrets = [...canaries.map(secretPart), ...rings];
  const found = secrets.flatMap((secret) =>
    traces(secret).flatMap((trace) => written.filter(([, bytes]) => bytes.includes(trace)).map(([where]) => where)),
  );
  expect(canaries.length).toBeGreaterThan(10);
  expect([...new Set(found)]).toEqual([]);
  // The search finds what is there: a key's name is no secret.
  expect(written.some(([, bytes]) => bytes.includes("renamed"))).toBe(true);
}, 120_000);
