import { spawn } from "node:child_process";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openEmbeddedPostgres } from "../src/embedded-postgres.ts";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

const entry = new URL("support/admin-key-process.ts", import.meta.url).pathname;
const keyPattern = /^sk_live_\w+\n$/;

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** The command as an operator runs it, in a process of its own. */
function run(env: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<Outcome> {
  const child = spawn(process.execPath, ["--import", "tsx", "-C", "sazabi-source", entry, ...args], {
    env: { PATH: process.env["PATH"], ...env },
  });
  let [out, err] = ["", ""];
  child.stdout.on("data", (chunk) => {
    out += chunk;
  });
  child.stderr.on("data", (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}

describe("on a database of one's own", () => {
  let service: TestService;
  let env: Record<string, string>;
  beforeAll(async () => {
    service = await startTestService();
    const text = ({ current }: { current: { version: number; secret: Buffer } }) =>
      `${current.version}:${current.secret.toString("base64")}`;
    env = {
      DATABASE_URL: service.databaseUrl,
      SAZABI_KEY_PEPPER: text(service.keyrings.keyPepper as never),
      SAZABI_MASTER_KEY: text(service.keyrings.masterKey as never),
    };
  });
  afterAll(() => service.close());

  test("an organization that nobody can administer gets a key that the running service accepts at once", async () => {
    const headers = bearer(service.secretKey);
    expect((await send(service, "POST /v1/keys/revoke-all?force=true", { headers, body: {} })).status).toBe(200);
    const { code, out, err } = await run(env);
    expect({ code, out, err }).toEqual({
      code: 0,
      out: expect.stringMatching(keyPattern),
      err: expect.stringContaining("organization default"),
    });
    const admin = bearer(out.trim());
    const { key } = (await send(service, "GET /v1/me", { headers: admin })).body;
    expect(key).toMatchObject({ scopes: ["*"], projectId: null, expiresAt: null });
    const { events } = (await send(service, "GET /v1/audit?limit=1", { headers: admin })).body;
    expect(events).toMatchObject([
      { action: "secret_key.created", actor: { kind: "system", name: "server" }, target: { id: key.id } },
    ]);
    expect(JSON.stringify(events) + err).not.toContain(out.trim().slice(8));
    expect((await send(service, "POST /v1/secret-keys", { headers: admin, body: { name: "next" } })).status).toBe(201);
  });

  test("with another pepper it refuses and changes nothing", async () => {
    const count = async () => (await queryDatabase(service.databaseUrl, "select count(*) from keys")).rows[0].count;
    const before = await count();
    const wrong = await run({ ...env, SAZABI_KEY_PEPPER: `1:${Buffer.alloc(32, 7).toString("base64")}` });
    expect(wrong).toMatchObject({ code: 1, out: "", err: expect.stringContaining("another key pepper") });
    expect(await count()).toBe(before);
  });

  test("of several organizations one has to be named", async () => {
    await queryDatabase(service.databaseUrl, "insert into organizations (name, slug) values ('Acme', 'acme')");
    expect(await run(env)).toMatchObject({ code: 1, out: "", err: "Name the organization: default, acme.\n" });
    expect(await run(env, ["--organization", "nobody"])).toMatchObject({ code: 1, out: "" });
    const made = await run(env, ["--organization", "acme"]);
    expect(made).toMatchObject({ code: 0, err: expect.stringContaining("organization acme") });
    const { body } = await send(service, "GET /v1/me", { headers: bearer(made.out.trim()) });
    expect(body.organization.slug).toBe("acme");
  });

  test("a wrong argument is not repeated", async () => {
    for (const args of [[service.secretKey], [`--${service.secretKey}`], ["--organization"]]) {
      const refused = await run(env, args);
      expect(refused).toMatchObject({ code: 2, out: "", err: expect.stringContaining("Usage") });
      expect(refused.err).not.toContain(service.secretKey);
    }
  });

  test("where no service has started yet, it says so and makes nothing", async () => {
    await queryDatabase(service.databaseUrl, "alter schema sazabi rename to elsewhere");
    const refused = await run(env);
    await queryDatabase(service.databaseUrl, "alter schema elsewhere rename to sazabi");
    expect(refused).toMatchObject({ code: 1, out: "", err: expect.stringContaining("start the service once") });
  });
});

test("with the embedded PostgreSQL it works while the service runs and while it is stopped", async () => {
  const dataDir = await mkdtemp(join(tmpdir(), "sazabi-admin-"));
  await chmod(dataDir, 0o711);
  const env = { SAZABI_DATA_DIR: dataDir };
  const fromFiles = { keyPepper: undefined, masterKey: undefined, dataDir };
  try {
    expect(await run(env)).toMatchObject({
      code: 1,
      out: "",
      err: expect.stringContaining("There is no embedded database"),
    });
    let postgres = await openEmbeddedPostgres({ dataDir });
    let service = await startTestService({ databaseUrl: postgres.url, ...fromFiles });
    const whileRunning = await run(env);
    expect(whileRunning).toMatchObject({ code: 0, out: expect.stringMatching(keyPattern) });
    expect((await send(service, "GET /v1/me", { headers: bearer(whileRunning.out.trim()) })).status).toBe(200);
    await service.close();
    await postgres.close();

    const whileStopped = await run(env);
    expect(whileStopped).toMatchObject({ code: 0, out: expect.stringMatching(keyPattern) });
    postgres = await openEmbeddedPostgres({ dataDir });
    service = await startTestService({ databaseUrl: postgres.url, ...fromFiles });
    for (const { out } of [whileRunning, whileStopped]) {
      expect((await send(service, "GET /v1/me", { headers: bearer(out.trim()) })).status).toBe(200);
    }
    await service.close();
    await postgres.close();
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}, 120_000);
