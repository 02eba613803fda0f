// The built parts of the service around one small handler, with one route per way to guard it. SUBJECT=replica runs the
// whole service. With SUBJECT=verdicts, no address is blocked for sending unknown keys.
import { hash } from "node:crypto";
import { createRequire } from "node:module";
import { Hono } from "hono";

const built = (path) => import(new URL(`../../packages/service/dist/${path}.js`, import.meta.url).href);

const ofTheService = createRequire(new URL("../../packages/service/package.json", import.meta.url));
const { createAdaptorServer } = await import(ofTheService.resolve("@hono/node-server"));

const { databaseUrl, dataDir, pepper: pepperText, masterKey } = JSON.parse(process.env.BENCH);
const { parseKeyring } = await built("crypto/keyring");
const pepper = parseKeyring(pepperText);
const resource = { projects: [{ id: "7d0b4e0e-8a3c-4d9e-9f43-0f3a4a1b2c3d", name: "default", region: "us-west-2" }] };

const subject = process.env.SUBJECT === "replica" ? await openReplica() : await openParts();
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send({ cpuMicros: user + system });
});
process.once("disconnect", () => subject.close());
process.send({ url: subject.url, firstKeys: subject.firstKeys });

async function openReplica() {
  const { openService } = await built("compose");
  return openService({
    host: "127.0.0.1",
    port: 0,
    databaseUrl,
    dataDir,
    keyPepper: pepper,
    masterKey: parseKeyring(masterKey),
    logRetentionDays: 30,
  });
}

async function openParts() {
  const { guards } = await built("http/guards");
  const { DeadKeyUses } = await built("auth/verify/dead-key-uses");
  const { FailedAttempts } = await built("auth/rate-limit/failed-attempts");
  const { KeyVerifier } = await built("auth/verify/verifier");
  const { KeyUses } = await built("keys/usage/uses");
  const { LocalRateLimiter } = await built("auth/rate-limit/rate-limit");
  const { ok, onError } = await built("http/respond");
  const { openDatabase } = await built("db/database");
  const db = openDatabase({ url: databaseUrl, connections: 10, statementTimeoutMs: 0 });
  const failures = new FailedAttempts();
  const keys = new KeyVerifier({
    url: databaseUrl,
    db,
    pepper,
    ...(process.env.SUBJECT !== "verdicts" && { failures }),
  });
  await keys.open();
  const uses = new KeyUses(db);
  const deadKeys = new DeadKeyUses();
  const limiter = new LocalRateLimiter(() => keys.now());
  const { secretKey } = guards({ keys, uses, failures, deadKeys, limiter, requestsPerMinute: 1_000_000 });
  const app = new Hono()
    .get("/v1/bare", (c) => ok(c, resource))
    .get(
      "/v1/validated",
      secretKey("bench.get", "read:projects", (c) => ok(c, resource)),
    )
    .get("/v1/naive", naive(db, ok))
    .onError(onError);
  const server = createAdaptorServer({ fetch: app.fetch });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.close();
      server.closeAllConnections();
      await uses.close();
      await limiter.close();
      await keys.close();
      await db.close();
    },
  };
}

/** The naive implementation: hash the key, look it up by index, and compare the dates on every request. */
function naive(db, ok) {
  const text = "select id, name, scopes, expires_at, revoked_at from bench_keys where hash = $1";
  return async (c) => {
    const key = c.req.header("authorization")?.slice("Bearer ".length) ?? "";
    const { rows } = await db.query({ text, values: [hash("sha256", key, "hex")] });
    const found = rows[0];
    if (!found || found.revoked_at || (found.expires_at && found.expires_at < new Date())) return c.json({}, 401);
    return ok(c, resource);
  };
}
