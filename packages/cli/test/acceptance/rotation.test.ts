import { chmodSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { SazabiAdmin } from "@sazabi/sdk";
import { queryDatabase, startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Stop, startGate } from "../support/gate.ts";
import { finished, type ProcessOptions, sazabi, start } from "../support/process.ts";
import { scratchDirectory } from "../support/terminal.ts";

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service?.close());

/** A secret key with a `.env` file that holds it, and a person who uses it. */
async function keyInFile(name: string) {
  const home = scratchDirectory();
  const { id, value } = await admin.secretKeys.create({ name });
  const envFile = join(home, ".env");
  writeFileSync(envFile, `# mine\nPORT=1\nSAZABI_SECRET_KEY=${value}\n`, { mode: 0o600 });
  const inPlace = () => /SAZABI_SECRET_KEY=(.*)/.exec(readFileSync(envFile, "utf8"))?.[1] as string;
  const env = (more: ProcessOptions["env"] = {}) => ({
    SAZABI_API_URL: service.url,
    SAZABI_SECRET_KEY: inPlace(),
    ...more,
  });
  return {
    home,
    id,
    value,
    envFile,
    inPlace,
    env,
    run: (argv: readonly string[], more?: ProcessOptions["env"]) => sazabi(home, argv, { env: env(more) }),
  };
}

async function works(secretKey: string): Promise<boolean> {
  return new SazabiAdmin({ secretKey, baseUrl: service.url }).me().then(
    () => true,
    () => false,
  );
}

const rotations = async (targetId: string) => (await admin.audit.list({ targetId })).items.map(({ action }) => action);
const unfinished = (home: string) => {
  const folder = join(home, ".config/sazabi");
  return existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("rotation-")) : [];
};

describe("keys rotate", () => {
  test("prints the new secret alone, and both work until the grace is ended", async () => {
    const { id, value, run } = await keyInFile("plain");
    const { code, out, err } = await run(["keys", "rotate", "plain"]);
    expect(code).toBe(0);
    expect(out).toMatch(/^sk_live_[0-9A-Za-z]{36}\n$/);
    expect(err).toMatch(/The previous secret sk_live_….{4} was used \d+ times|has not been used/);
    expect(err).toContain("It works");
    expect(await Promise.all([works(value), works(out.trim())])).toEqual([true, true]);
    expect((await run(["keys", "rotate", id, "--finish"])).code).toBe(0);
    expect(await Promise.all([works(value), works(out.trim())])).toEqual([false, true]);
  });

  test.each([0, 5, 12])("counts %i uses of the previous secret, and none of its own requests", async (count) => {
    const { id, value, run } = await keyInFile(`counted ${count}`);
    const words = count === 0 ? "has not been used" : `was used ${count} times`;
    for (let use = 0; use < count; use++) await works(value);
    const own = await run(["keys", "rotate", "--self", "--json"]);
    expect(own.err).toContain(`${words}, not counting 2 requests of this command.`);
    await admin.secretKeys.finishRotation(id);
    const { value: next } = JSON.parse(own.out);
    for (let use = 0; use < count; use++) await works(next);
    const byOther = await run(["keys", "rotate", id, "--grace", "0"], { SAZABI_SECRET_KEY: service.secretKey });
    // The first command used the new secret three times: to prove it, to read the key and to set the grace.
    expect(byOther.err).toMatch(new RegExp(`was used ${count + 3} times, last at .* from 127\\.0\\.0\\.1`));
  });

  test("replaces the key in a file in place, and ends the previous one when told", async () => {
    const { home, value, envFile, inPlace, run } = await keyInFile("file");
    const { code, out, err } = await run(["keys", "rotate", "--self", "--env-file", envFile, "--finish"]);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining("Rotated secret key") });
    expect(inPlace()).not.toBe(value);
    expect(out + err).not.toContain(inPlace().slice(8, -4));
    expect(readFileSync(envFile, "utf8")).toBe(`# mine\nPORT=1\nSAZABI_SECRET_KEY=${inPlace()}\n`);
    expect(statSync(envFile).mode & 0o777).toBe(0o600);
    expect(await Promise.all([works(value), works(inPlace())])).toEqual([false, true]);
    expect(unfinished(home)).toEqual([]);
  });

  test("replaces the key in every variable of a file that begins with a byte order mark", async () => {
    const { value, envFile, inPlace, run } = await keyInFile("twice");
    writeFileSync(envFile, `\ufeffSAZABI_SECRET_KEY=${value}\nSAZABI_TOKEN="${value}"\n`);
    const { code, err } = await run(["keys", "rotate", "--self", "--env-file", envFile, "--finish"]);
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("SAZABI_SECRET_KEY, SAZABI_TOKEN in") });
    const next = inPlace();
    expect(readFileSync(envFile, "utf8")).toBe(`\ufeffSAZABI_SECRET_KEY=${next}\nSAZABI_TOKEN="${next}"\n`);
    expect(await works(next)).toBe(true);
  });

  test("changes nothing for a file that takes the key from another variable", async () => {
    const { id, value, envFile, run } = await keyInFile("from elsewhere");
    const content = `OTHER=${value}\nSAZABI_SECRET_KEY=\${OTHER}\n`;
    writeFileSync(envFile, content);
    const { code, err } = await run(["keys", "rotate", id, "--env-file", envFile], { SAZABI_SECRET_KEY: value });
    expect({ code, err }).toEqual({ code: 1, err: expect.stringContaining("takes SAZABI_SECRET_KEY from elsewhere") });
    expect(err).toContain("Nothing was rotated");
    expect(readFileSync(envFile, "utf8")).toBe(content);
    expect(await rotations(id)).toEqual(["secret_key.created"]);
  });

  test("gives the new secret to a command on stdin, and no key in its arguments or environment", async () => {
    const { home, value, run } = await keyInFile("command");
    const command = `cat > "$HOME/got"; env > "$HOME/env"; cat /proc/$$/cmdline /proc/$PPID/cmdline > "$HOME/argv"; echo "put $(cat "$HOME/got")"`;
    const { code, out, err } = await run(["keys", "rotate", "--self", "--exec", command], {
      SAZABI_TOKEN: value,
      SAZABI_PUBLIC_KEY: service.publicKey,
      OTHER: "kept",
    });
    expect(code).toBe(0);
    const got = readFileSync(join(home, "got"), "utf8");
    expect(await works(got)).toBe(true);
    const seen = readFileSync(join(home, "env"), "utf8") + readFileSync(join(home, "argv"), "utf8");
    for (const key of [got, value, service.publicKey]) expect(seen).not.toContain(key.slice(8, -4));
    expect(seen).toContain("OTHER=kept");
    expect(out + err).not.toContain(got.slice(8, -4));
    expect(err).toContain(`put sk_live_…${got.slice(-4)}`);
  });

  test("says what to do when the command fails: the previous secret works, a rerun hands over the same one", async () => {
    const { home, id, value, run } = await keyInFile("failing");
    const rotate = (exec: string) => run(["keys", "rotate", "--self", "--exec", exec]);
    const failed = await rotate('cat > "$HOME/first"; exit 7');
    expect(failed).toMatchObject({ code: 1, out: "" });
    expect(failed.err).toContain("exit code 7");
    expect(failed.err).toContain("The previous secret works until");
    expect(failed.err).toContain(`sazabi keys rotate ${id} --cancel`);
    expect(await works(value)).toBe(true);
    expect((await rotate('cat > "$HOME/second"')).code).toBe(0);
    expect(readFileSync(join(home, "second"), "utf8")).toBe(readFileSync(join(home, "first"), "utf8"));
    expect((await rotations(id)).filter((action) => action === "secret_key.rotated")).toHaveLength(1);
  });

  test("can be taken back, and begun anew", async () => {
    const { home, id, value, run } = await keyInFile("taken-back");
    await run(["keys", "rotate", "--self", "--exec", 'cat > "$HOME/first"; false']);
    expect((await run(["keys", "rotate", id, "--finish"])).err).toContain("has not been delivered");
    expect((await run(["keys", "rotate", "--self", "--cancel"])).code).toBe(0);
    const first = readFileSync(join(home, "first"), "utf8");
    expect(await Promise.all([works(value), works(first)])).toEqual([true, false]);
    expect((await run(["keys", "rotate", "--self", "--cancel"])).err).toContain("No rotation");
    const second = (await run(["keys", "rotate", "--self"])).out.trim();
    expect(second).not.toBe(first);
    expect(await works(second)).toBe(true);
    const own = await run(["keys", "rotate", "--self", "--cancel"], { SAZABI_SECRET_KEY: second });
    expect(own).toMatchObject({ code: 1, err: expect.stringContaining("The key in use is the new secret") });
  });

  test("on another machine a rerun needs the same idempotency key", async () => {
    const { id, run, env } = await keyInFile("elsewhere");
    const argv = ["keys", "rotate", "--self", "--idempotency-key", "run-17"];
    const first = (await run(argv)).out;
    const elsewhere = await sazabi(scratchDirectory(), argv, { env: env() });
    expect(elsewhere).toMatchObject({ code: 0, out: first });
    const without = await sazabi(scratchDirectory(), ["keys", "rotate", id], { env: env() });
    expect(without).toMatchObject({ code: 1, err: expect.stringContaining("--finish` keeps its new secret") });
    await run(["keys", "rotate", id, "--cancel"]);
    const dead = await sazabi(scratchDirectory(), argv, { env: env() });
    expect(dead).toMatchObject({ code: 1, out: "", err: expect.stringContaining("another --idempotency-key") });
  });

  test("does not put a key over another one", async () => {
    const { id, value, envFile, inPlace, run } = await keyInFile("mine");
    const other = await admin.secretKeys.create({ name: "other" });
    const refused = await run(["keys", "rotate", other.id, "--env-file", envFile]);
    expect(refused).toMatchObject({ code: 1, err: expect.stringContaining("holds another key") });
    expect(inPlace()).toBe(value);
    expect(await rotations(other.id)).toEqual(["secret_key.created"]);
    expect(await rotations(id)).toEqual(["secret_key.created"]);
  });

  test("keeps the profile logged in", async () => {
    const home = scratchDirectory();
    const env = { SAZABI_API_URL: service.url };
    const { value } = await admin.secretKeys.create({ name: "profile" });
    await sazabi(home, ["auth", "login", "--key", "-", "--store", "file"], { env, stdin: value });
    const rotated = await sazabi(home, ["keys", "rotate", "--self", "--grace", "0"], { env });
    expect(rotated).toMatchObject({ code: 0, err: expect.stringContaining("Profile default keeps the new secret") });
    expect(await works(value)).toBe(false);
    const status = JSON.parse((await sazabi(home, ["auth", "status", "--json"], { env })).out);
    expect(status).toMatchObject({ authenticated: true, keySource: "profile default" });
    expect(status.key.slice(-4)).toBe(rotated.out.trim().slice(-4));
    expect(readFileSync(join(home, ".config/sazabi/config.json"), "utf8")).toContain(status.key);
  });

  test("of a public key proves it without storing an entry", async () => {
    const home = scratchDirectory();
    const env = { SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: service.secretKey };
    await admin.publicKeys.create({ name: "browser" });
    const before = (await admin.logs.query({})).meta.count;
    const argv = ["keys", "public-keys", "rotate", "browser", "--dotenv", join(home, ".env")];
    expect(await sazabi(home, argv, { env })).toMatchObject({ code: 0, err: expect.stringContaining("It works") });
    const [, published] = /^SAZABI_PUBLIC_KEY=(pk_live_\w+)\n$/.exec(readFileSync(join(home, ".env"), "utf8")) ?? [];
    expect(statSync(join(home, ".env")).mode & 0o777).toBe(0o600);
    expect((await admin.logs.query({})).meta.count).toBe(before);
    const sent = await sazabi(home, ["logs", "send"], {
      env: { SAZABI_API_URL: service.url, SAZABI_PUBLIC_KEY: published },
      stdin: "one\n",
    });
    expect(sent.code).toBe(0);
  });
});

describe("kill -9 during a rotation leaves a key that works in place, and a rerun finishes the job", () => {
  const stops: readonly (readonly [string, Stop])[] = [
    ["before the service makes the secret", { request: /^POST .*\/rotate$/, when: "before" }],
    ["after the service made it", { request: /^POST .*\/rotate$/, when: "after" }],
    ["after the hand-over, before the proof", { request: /^GET \/v1\/me$/, turn: 2, when: "before" }],
    ["after the proof", { request: /^GET \/v1\/secret-keys\//, when: "before" }],
    ["before the grace is ended", { request: /^POST .*\/rotate\/finish$/, when: "before" }],
    ["after the grace was ended", { request: /^POST .*\/rotate\/finish$/, when: "after" }],
  ];

  test.each(stops)(
    "%s",
    async (_, stop) => {
      const { home, id, value, envFile, inPlace, env } = await keyInFile("killed");
      const gate = await startGate(service.url);
      const argv = ["keys", "rotate", "--self", "--env-file", envFile, "--finish"];
      const held = gate.stopAt(stop);
      const child = start(home, argv, { env: env({ SAZABI_API_URL: gate.url }) });
      const end = finished(child);
      await held;
      child.kill("SIGKILL");
      expect((await end).code).toBe(-1);
      expect(await works(inPlace())).toBe(true);
      gate.open();
      await expectFinished({
        home,
        id,
        value,
        inPlace,
        rerun: () => sazabi(home, argv, { env: env({ SAZABI_API_URL: gate.url }) }),
      });
    },
    60_000,
  );

  test("also when it is noticed a week later: the grace has not begun to run", async () => {
    const { home, id, value, envFile, inPlace, env } = await keyInFile("noticed late");
    const gate = await startGate(service.url);
    const argv = ["keys", "rotate", "--self", "--env-file", envFile, "--grace", "1h"];
    const held = gate.stopAt({ request: /^POST .*\/rotate$/, when: "after" });
    const child = start(home, argv, { env: env({ SAZABI_API_URL: gate.url }) });
    const end = finished(child);
    await held;
    child.kill("SIGKILL");
    await end;
    gate.open();
    const days = async () => {
      const { rotation } = await admin.secretKeys.get(id);
      return (Date.parse(rotation?.previousExpiresAt ?? "") - Date.now()) / 86_400_000;
    };
    expect(await days()).toBeGreaterThan(29.9);
    expect(await sazabi(home, argv, { env: env({ SAZABI_API_URL: gate.url }) })).toMatchObject({ code: 0 });
    expect(Math.abs((await days()) - 1 / 24)).toBeLessThan(0.01);
    expect(await Promise.all([works(value), works(inPlace())])).toEqual([true, true]);
  }, 60_000);

  test("while the command that takes the secret runs", async () => {
    const { home, id, value, inPlace, env } = await keyInFile("killed in between");
    const script = join(home, "deploy.sh");
    writeFileSync(script, `#!/bin/sh\necho $$ > "$HOME/pid"\ncat > "$HOME/half"\nexec sleep 60\n`);
    chmodSync(script, 0o755);
    const argv = ["keys", "rotate", "--self", "--exec", script, "--finish"];
    const child = start(home, argv, { env: env() });
    const end = finished(child);
    const half = () => (existsSync(join(home, "half")) ? readFileSync(join(home, "half"), "utf8") : "");
    while (half() === "") await sleep(20);
    child.kill("SIGKILL");
    process.kill(Number(readFileSync(join(home, "pid"), "utf8")), "SIGKILL");
    await end;
    expect(await Promise.all([works(value), works(half())])).toEqual([true, true]);
    writeFileSync(
      script,
      `#!/bin/sh\nsed "s/^SAZABI_SECRET_KEY=.*/SAZABI_SECRET_KEY=$(cat)/" "$HOME/.env" > "$HOME/next"\nmv "$HOME/next" "$HOME/.env"\n`,
    );
    await expectFinished({ home, id, value, inPlace, rerun: () => sazabi(home, argv, { env: env() }) });
    expect(inPlace()).toBe(half());
  }, 60_000);

  interface Killed {
    readonly home: string;
    readonly id: string;
    readonly value: string;
    readonly inPlace: () => string;
    readonly rerun: () => ReturnType<typeof sazabi>;
  }

  async function expectFinished({ home, id, value, inPlace, rerun }: Killed): Promise<void> {
    expect(await rerun()).toMatchObject({ code: 0 });
    expect(inPlace()).not.toBe(value);
    expect(await Promise.all([works(value), works(inPlace())])).toEqual([false, true]);
    expect(unfinished(home)).toEqual([]);
    // One new secret, not one for each try.
    expect((await rotations(id)).toReversed()).toEqual([
      "secret_key.created",
      "secret_key.rotated",
      "secret_key.rotation_finished",
    ]);
  }
});

describe("keys usage, revoke-all, and the record", () => {
  test("usage counts by secret", async () => {
    const { id, inPlace, run } = await keyInFile("busy");
    await run(["keys", "rotate", "--self"]);
    const counted = async () => JSON.parse((await run(["keys", "usage", id, "--interval", "1m", "--json"])).out);
    const deadline = Date.now() + 20_000;
    while ((await counted()).points.length < 2 && Date.now() < deadline) await sleep(500);
    const { points } = await counted();
    expect(new Set(points.map(({ generation }: { generation: number }) => generation))).toEqual(new Set([1, 2]));
    expect((await run(["keys", "usage", "busy"])).out).toMatch(/FROM +SECRET +ACCEPTED +REFUSED\n.*#1 +\d+ +0\n/);
    expect(await works(inPlace())).toBe(true);
  });

  test("update narrows a key, list finds the unused, revoke says why", async () => {
    const { id, run } = await keyInFile("narrowed");
    const change = ["keys", "secret-keys", "update", id, "--scopes", "read:logs", "--limit", "60", "--name", "reader"];
    const env = { SAZABI_SECRET_KEY: service.secretKey };
    expect((await run(change, env)).out).toMatch(/reader[\s\S]*read:logs[\s\S]*60 requests a minute/);
    const unused = await run(["keys", "list", "--unused-for", "1d", "--json"], env);
    expect(JSON.parse(unused.out).items).toEqual([]);
    expect((await run(["keys", "revoke", "reader", "--reason", "found in a log"], env)).code).toBe(0);
    const { items } = await admin.audit.list({ targetId: id, action: "secret_key.revoked" });
    expect(items[0]?.details).toMatchObject({ reason: "found in a log" });
  });

  test("revoke-all spares the key in use, and audit verify tells a record that was tampered with", async () => {
    const alone = await startTestService();
    try {
      const home = scratchDirectory();
      const env = { SAZABI_API_URL: alone.url, SAZABI_SECRET_KEY: alone.secretKey };
      const run = (argv: readonly string[]) => sazabi(home, argv, { env });
      await run(["keys", "create", "doomed"]);
      expect((await run(["keys", "revoke-all", "--kind", "secret"])).code).toBe(2);
      const revoked = await run(["keys", "revoke-all", "--kind", "secret", "--reason", "drill", "--yes"]);
      expect(revoked).toMatchObject({ code: 0, out: expect.stringMatching(/sk_live_….{4} {2}doomed\n$/) });
      expect((await run(["whoami"])).code).toBe(0);

      const verified = await run(["audit", "verify"]);
      expect(verified).toMatchObject({
        code: 0,
        out: expect.stringMatching(/^\d+ events, chain intact, head \d+:[0-9a-f]{64}\n$/),
      });
      const head = verified.out.trim().split(" ").at(-1) as string;
      expect((await run(["audit", "list", "--action", "secret_key.revoked"])).out).toMatch(
        /secret_key\.revoked +doomed/,
      );
      await run(["keys", "create", "later"]);
      expect((await run(["audit", "verify", "--known-head", head])).code).toBe(0);

      await queryDatabase(alone.databaseUrl, "alter table audit_events disable trigger all");
      await queryDatabase(
        alone.databaseUrl,
        `update audit_events set details = '{"reason":"nothing"}' where action = 'secret_key.revoked'`,
      );
      const broken = await run(["audit", "verify"]);
      expect(broken).toMatchObject({
        code: 1,
        out: "",
        err: expect.stringMatching(/event \d+ \(secret_key\.revoked, .*\) was altered/),
      });
    } finally {
      await alone.close();
    }
  });
});
