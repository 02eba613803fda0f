import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Answer, type Asked, keyId, refusal, secretKeyOf, someKey, startService } from "../support/service.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

const now = new Date("2026-11-22T08:00:00Z");
const until = "2026-11-22T09:00:00.000Z";
const rotationOf = (previous: string, more: object = {}) => ({
  previousMasked: `sk_live_…${previous.slice(-4)}`,
  previousExpiresAt: until,
  currentUses: 1,
  previousUses: 42,
  previousLastUsedAt: "2026-11-22T07:59:00.000Z",
  previousLastUsedAddress: "203.0.113.9",
  ...more,
});

/** A service whose key `first` can be rotated, to `next`; it accepts both secrets. */
async function rotatable(answers: Readonly<Record<string, (asked: Asked) => Answer>> = {}) {
  const next = someKey("secret");
  let previous = "";
  const key = (more: object = {}) => secretKeyOf(next, { rotation: rotationOf(previous), ...more });
  const service = await startService(
    {
      [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: key() } }),
      [`POST /v1/secret-keys/${keyId}/rotate`]: () => ({ status: 201, body: { secretKey: key({ value: next }) } }),
      [`POST /v1/secret-keys/${keyId}/rotate/finish`]: ({ query }) => ({
        body: { secretKey: key(query.graceSeconds ? {} : { rotation: null }) },
      }),
      [`POST /v1/secret-keys/${keyId}/rotate/cancel`]: () => ({ body: { secretKey: key({ rotation: null }) } }),
      ...answers,
    },
    [next],
  );
  previous = service.secretKey;
  const steps = () =>
    service.asked.map(({ method, path, headers }) => {
      const who = headers.authorization === `Bearer ${next}` ? "new" : "old";
      return `${who}: ${method} ${path.replace("/v1", "").replace(keyId, "ID")}`;
    });
  return { ...service, next, steps };
}

describe("keys rotate", () => {
  test("goes in order: mask, make, hand over, prove, report, and only then let go", async () => {
    const { env, next, steps } = await rotatable();
    const order: string[] = [];
    const file = join(scratchDirectory(), "got");
    const world = terminal({ env: { ...env, GITHUB_ACTIONS: "true" }, now });
    const argv = ["keys", "rotate", "--self", "--exec", `cat > ${file}`, "--stdout", "--finish"];
    const { code, out, err } = await world.run(argv);
    order.push(...steps());
    expect(code).toBe(0);
    expect(out).toBe(`${next}\n`);
    expect(readFileSync(file, "utf8")).toBe(next);
    expect(err.split("\n")[0]).toBe(`::add-mask::${next}`);
    expect(err.replace(`::add-mask::${next}`, "")).not.toContain(next);
    expect(err).toContain("was used 40 times, not counting 2 requests of this command.");
    expect(order).toEqual([
      "old: GET /me",
      "old: POST /secret-keys/ID/rotate",
      "new: GET /me",
      "new: GET /secret-keys/ID",
      "new: POST /secret-keys/ID/rotate/finish",
    ]);
  });

  test("says from where the previous secret was used last, when it is not the key in use", async () => {
    const { env, next } = await rotatable();
    const { err } = await terminal({ env: { ...env, SAZABI_SECRET_KEY: next }, now }).run(["keys", "rotate", keyId]);
    expect(err).toMatch(/was used 42 times, last at .* from 203\.0\.113\.9/);
  });

  test("writes no mask outside of GitHub Actions, and ends nothing unless told", async () => {
    const { env, steps, asked } = await rotatable();
    const { err } = await terminal({ env, now }).run(["keys", "rotate", keyId]);
    expect(err).not.toContain("add-mask");
    expect(err).toContain("--finish");
    expect(err).toContain("It works until 2026-11-22 ");
    expect(steps().at(-1)).toBe("old: POST /secret-keys/ID/rotate/finish");
    expect(asked.at(-1)?.query).toEqual({ graceSeconds: "3600" });
  });

  test("lets the grace run when the new secret has proven to work; until then the previous one has a month", async () => {
    const { env, asked } = await rotatable();
    const { run } = terminal({ env, now });
    await run(["keys", "rotate", keyId, "--grace", "7d"]);
    await run(["keys", "rotate", keyId, "--grace", "0"]);
    const month = { graceSeconds: 30 * 86_400 };
    const bodies = asked.filter(({ path }) => path.endsWith("/rotate")).map(({ json }) => json);
    expect(bodies).toEqual([month, month]);
    const graces = asked.filter(({ path }) => path.endsWith("/finish")).map(({ query }) => query.graceSeconds);
    expect(graces).toEqual([`${7 * 86_400}`, undefined]);
  });

  test("gives an output to GitHub Actions, and says when there is none to give", async () => {
    const { env, next, asked } = await rotatable();
    const path = join(scratchDirectory(), "output");
    writeFileSync(path, "before=1\n");
    const { run } = terminal({ env, now });
    expect((await run(["keys", "rotate", keyId, "--github-output"])).code).toBe(2);
    expect(asked.filter(({ method }) => method === "POST")).toEqual([]);
    expect((await run(["keys", "rotate", keyId, "--github-output"], { env: { GITHUB_OUTPUT: path } })).code).toBe(0);
    expect(readFileSync(path, "utf8")).toBe(`before=1\nkey=${next}\n`);
  });

  test("as JSON has the secret only when it was to be printed", async () => {
    const { env, next } = await rotatable();
    const { run } = terminal({ env, now });
    const printed = JSON.parse((await run(["keys", "rotate", keyId, "--json"])).out);
    expect(printed).toMatchObject({ id: keyId, value: next, type: "secret", handedOver: ["stdout"], profile: null });
    expect(printed.rotation).toMatchObject({ previousUses: 42 });
    const handedOver = (await run(["keys", "rotate", keyId, "--exec", "cat >/dev/null", "--json"])).out;
    expect(JSON.parse(handedOver)).toMatchObject({ handedOver: ["exec"] });
    expect(handedOver).not.toContain(next);
  });

  test("keeps no secret between runs, and nothing once it is done", async () => {
    const { env, next, asked } = await rotatable();
    const { run, configDirectory } = terminal({ env, now });
    const failed = await run(["keys", "rotate", keyId, "--exec", "false"]);
    expect(failed).toMatchObject({ code: 1, err: expect.stringContaining("Run the same command again") });
    const [name] = readdirSync(configDirectory).filter((file) => file.startsWith("rotation-"));
    const path = join(configDirectory, name as string);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).not.toContain(next.slice(8, -4));
    await run(["keys", "rotate", keyId, "--exec", "cat >/dev/null"]);
    expect(existsSync(path)).toBe(false);
    const keys = asked.filter(({ path }) => path.endsWith("/rotate")).map(({ headers }) => headers["idempotency-key"]);
    expect(keys).toHaveLength(2);
    expect(keys[0]).toBe(keys[1]);
  });

  test("where nothing can be kept needs an idempotency key, and says so before anything is changed", async () => {
    const { env, next, asked } = await rotatable();
    const file = join(scratchDirectory(), "file");
    writeFileSync(file, "");
    const { run } = terminal({ env, now, configDirectory: join(file, "sazabi") });
    const refused = await run(["keys", "rotate", keyId]);
    expect(refused).toMatchObject({ code: 1, out: "", err: expect.stringContaining("or give --idempotency-key") });
    expect(asked.filter(({ method }) => method === "POST")).toEqual([]);
    expect(await run(["keys", "rotate", keyId, "--idempotency-key", "job-1"])).toMatchObject({
      code: 0,
      out: `${next}\n`,
    });
    expect(asked.find(({ path }) => path.endsWith("/rotate"))?.headers["idempotency-key"]).toBe("job-1");
  });

  test("does not go on with a rotation that the service has forgotten", async () => {
    const { env, asked } = await rotatable();
    const world = terminal({ env });
    await world.run(["keys", "rotate", keyId, "--exec", "false"], { now });
    await world.run(["keys", "rotate", keyId], { now: new Date(now.getTime() + 24 * 3_600_000) });
    const keys = asked.filter(({ path }) => path.endsWith("/rotate")).map(({ headers }) => headers["idempotency-key"]);
    expect(keys[0]).not.toBe(keys[1]);
  });

  test("does not call proven what the service refuses", async () => {
    const refused = refusal(401, "UNAUTHORIZED", "Revoked.", { reason: "revoked_api_key" });
    const { env, next, steps } = await rotatable({ "GET /v1/me": () => refused });
    const { code, err } = await terminal({ env, now }).run(["keys", "rotate", keyId, "--finish", "--exec", "true"]);
    expect(code).toBe(1);
    expect(err).toContain("does not accept the new secret");
    expect(err).toContain("The previous secret works until");
    expect(err).not.toContain(next);
    expect(steps().at(-1)).toBe("new: GET /me");
  });

  test("knows that a fence is no fault of the secret", async () => {
    const fenced = refusal(403, "FORBIDDEN", "Only from 10.0.0.0/8.", { reason: "address_not_allowed" });
    const { env } = await rotatable({ "GET /v1/me": () => fenced });
    const { code, err } = await terminal({ env, now }).run(["keys", "rotate", keyId]);
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("Only from 10.0.0.0/8.") });
  });

  test("beside another rotation says how to end that one", async () => {
    const busy = refusal(409, "CONFLICT", "A rotation of this key is under way.");
    const { env } = await rotatable({ [`POST /v1/secret-keys/${keyId}/rotate`]: () => busy });
    const { run, configDirectory } = terminal({ env, now });
    const { code, err } = await run(["keys", "rotate", keyId]);
    expect(code).toBe(1);
    expect(err).toContain(`\`sazabi keys rotate ${keyId} --cancel\``);
    expect(readdirSync(configDirectory).filter((name) => name.startsWith("rotation-"))).toEqual([]);
  });

  test("asks before it ends a secret at a terminal", async () => {
    const { env, steps } = await rotatable();
    const { run } = terminal({ env, now, columns: 80 });
    const declined = await run(["keys", "rotate", keyId, "--finish"], { typed: ["n"] });
    expect(declined).toMatchObject({
      code: 1,
      err: expect.stringContaining("was used 41 times, not counting 1 request of"),
    });
    expect(steps().filter((step) => step.includes("POST"))).toEqual([]);
    expect((await run(["keys", "rotate", keyId, "--cancel"], { typed: ["y"] })).code).toBe(0);
    expect(steps().at(-1)).toBe("old: POST /secret-keys/ID/rotate/cancel");
  });

  test.each([
    [["keys", "rotate"], "--self"],
    [["keys", "rotate", "ci", "--self"], "Which key"],
    [["keys", "rotate", "ci", "--grace", "soon"], "--grace"],
    [["keys", "rotate", "ci", "--grace", "31d"], "at most 30d"],
    [["keys", "rotate", "ci", "--finish", "--cancel"], "exclude each other"],
    [["keys", "rotate", "ci", "--cancel", "--stdout"], "hands nothing over"],
    [["keys", "public-keys", "rotate", "ci", "--self"], "unknown option"],
    [["keys", "rotate", "--self", "--type", "public"], "is a secret key"],
  ])("%j is refused before anything is sent", async (argv, words) => {
    const { env, asked } = await rotatable();
    const { code, err } = await terminal({ env, now }).run(argv);
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining(words) });
    expect(asked).toEqual([]);
  });
});
