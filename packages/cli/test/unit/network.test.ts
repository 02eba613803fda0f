import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { proxyFor } from "../../src/proxy.ts";
import { makeAuthority, startTls } from "../support/authority.ts";
import { startProxy } from "../support/proxy.ts";
import { refusal, someKey, startService } from "../support/service.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

/** The command line against a service behind TLS whose certificate nobody knows. */
async function behindTls() {
  const { secretKey, url, asked } = await startService();
  const authority = makeAuthority();
  const env = { SAZABI_API_URL: await startTls(authority, url), SAZABI_SECRET_KEY: secretKey };
  return { ...authority, env, asked };
}

describe.skipIf(!hasOpenssl)("a service with a certificate authority of its own", () => {
  test("is not trusted, and the error says how it can be", async () => {
    const { env, asked } = await behindTls();
    const { code, err } = await terminal({ env }).run(["whoami"]);
    expect(code).toBe(5);
    expect(err).toContain(env.SAZABI_API_URL);
    expect(err).toContain("its certificate's CA is unknown; name it with --ca-file");
    expect(asked).toEqual([]);
  });

  test("is trusted with --ca-file, and with SAZABI_CA_FILE", async () => {
    const { env, caFile } = await behindTls();
    expect(await terminal({ env }).run(["whoami", "--ca-file", caFile])).toMatchObject({ code: 0 });
    expect(await terminal({ env: { ...env, SAZABI_CA_FILE: caFile } }).run(["whoami"])).toMatchObject({ code: 0 });
  });

  test("a file that is not there, holds no certificate or a damaged one is a usage error that names it", async () => {
    const { env } = await behindTls();
    const folder = scratchDirectory();
    const [empty, damaged] = [join(folder, "empty.pem"), join(folder, "damaged.pem")];
    writeFileSync(empty, "hello");
    writeFileSync(damaged, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (const [file, words] of [
      [join(folder, "none.pem"), "cannot read"],
      [empty, "holds no certificate"],
      [damaged, "is damaged"],
    ] as const) {
      const { code, err } = await terminal({ env }).run(["whoami", "--ca-file", file]);
      expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining(words) });
      expect(err).toContain("--ca-file");
      expect(err).toContain(file);
    }
  });

  test("is reached through a tunnel of a proxy, which sees the address and nothing else", async () => {
    const { env, caFile, asked } = await behindTls();
    const proxy = await startProxy();
    const { code } = await terminal({ env: { ...env, HTTPS_PROXY: proxy.url, SAZABI_CA_FILE: caFile } }).run([
      "whoami",
    ]);
    expect(code).toBe(0);
    expect(proxy.seen).toEqual([`CONNECT ${new URL(env.SAZABI_API_URL).host}`]);
    expect(asked).toHaveLength(1);
  });
});

describe("a proxy", () => {
  test("passes on what goes to an http address, POSTs too", async () => {
    const { env, url, asked } = await startService({
      "POST /v1/projects": ({ text }) => ({ body: { project: { ...JSON.parse(text), id: "p" } } }),
    });
    const proxy = await startProxy();
    const { run } = terminal({ env: { ...env, HTTP_PROXY: proxy.url } });
    expect((await run(["whoami"])).code).toBe(0);
    expect((await run(["projects", "create", "--name", "shop"])).code).toBe(0);
    expect(proxy.seen).toEqual([`GET ${url}/v1/me`, `POST ${url}/v1/projects`]);
    expect(asked).toHaveLength(2);
  });

  test("is told its user and password, and a wrong one is called that", async () => {
    const { env } = await startService();
    const proxy = await startProxy({ login: "ann:secret" });
    expect((await terminal({ env: { ...env, HTTP_PROXY: proxy.url } }).run(["whoami"])).code).toBe(0);
    const { code, err } = await terminal({ env: { ...env, HTTP_PROXY: `http://${proxy.host}` } }).run(["whoami"]);
    expect(code).toBe(5);
    expect(err).toContain("the proxy wants a user and a password");
    expect(err).toContain(`the proxy http://${proxy.host} (HTTP_PROXY)`);
  });

  test("that is down is named, without its password, and so is the way past it", async () => {
    const { env } = await startService();
    const HTTP_PROXY = "http://ann:secret@127.0.0.1:9";
    const { code, err } = await terminal({ env: { ...env, HTTP_PROXY } }).run(["whoami"]);
    expect(code).toBe(5);
    expect(err).toContain("connection refused; on the way through the proxy http://127.0.0.1:9 (HTTP_PROXY)");
    expect(err).toContain("NO_PROXY=127.0.0.1");
    expect(err).not.toContain("secret@");
  });

  test("that is no address is a usage error", async () => {
    const { env } = await startService();
    const { code, err } = await terminal({ env: { ...env, HTTP_PROXY: "socks5://127.0.0.1:9" } }).run(["whoami"]);
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining("HTTP_PROXY") });
  });

  test("is gone past where NO_PROXY names the host", async () => {
    const { env } = await startService();
    const proxy = await startProxy();
    const { run } = terminal({ env: { ...env, HTTP_PROXY: proxy.url, NO_PROXY: "example.com, 127.0.0.1" } });
    expect((await run(["whoami"])).code).toBe(0);
    expect(proxy.seen).toEqual([]);
  });

  test.each([
    ["https://api.example.com", "example.com", true],
    ["https://api.example.com", ".example.com", true],
    ["https://api.example.com", "*.example.com", true],
    ["https://api.example.com", "API.example.COM:443", true],
    ["https://api.example.com", "api.example.com:8443", false],
    ["https://api.example.com:8443", "api.example.com:8443", true],
    ["https://badexample.com", "example.com", false],
    ["https://example.com.evil.org", "example.com", false],
    ["https://api.example.com", "*", true],
    ["https://api.example.com", "other.org example.com", true],
    ["http://[::1]:4600", "::1", true],
    ["http://[::1]:4600", "[::1]:4600", true],
    ["http://[::1]:4600", "[::1]:4601", false],
    ["http://127.0.0.1:4600", "", false],
  ])("%s with NO_PROXY=%s: gone past is %s", (address, NO_PROXY, past) => {
    const HTTP_PROXY = "proxy.example.org:3128";
    expect(proxyFor(address, { HTTP_PROXY, NO_PROXY }) === undefined).toBe(past);
  });
});

describe("a service that is busy", () => {
  const busy = (status: number, seconds: number) =>
    status === 429
      ? refusal(429, "RATE_LIMIT_EXCEEDED", "Slow down.", { retryAfterSeconds: seconds })
      : refusal(503, "UNAVAILABLE", "No database.", { retryAfterSeconds: seconds });

  test.each([429, 503])("with %s is asked again when it says, and the wait is announced", async (status) => {
    let asked = 0;
    const { env, secretKey } = await startService({
      "GET /v1/projects": () => (asked++ === 0 ? busy(status, 0) : { body: { projects: [], nextCursor: null } }),
    });
    const { code, err } = await terminal({ env }).run(["projects", "list"]);
    expect({ code, asked }).toEqual({ code: 0, asked: 2 });
    expect(err).toContain("waiting 0 s");
    expect(err).not.toContain(secretKey);
  });

  test.each([
    [429, 6],
    [503, 5],
  ])(
    "with %s for longer than a command waits ends it with %s, the time and the request id",
    async (status, exitCode) => {
      const { env, asked } = await startService({ "GET /v1/projects": () => busy(status, 600) });
      const { code, err } = await terminal({ env }).run(["projects", "list"]);
      expect(code).toBe(exitCode);
      expect(err).toMatch(/Try again in 600 s \(at \d\d:\d\d:\d\d\)/);
      expect(err).toContain("(request req-1)");
      expect(asked).toHaveLength(1);
    },
  );

  test("is not asked again to make something", async () => {
    const { env, asked } = await startService({ "POST /v1/projects": () => busy(503, 0) });
    const { code } = await terminal({ env }).run(["projects", "create", "--name", "shop"]);
    expect(code).toBe(5);
    expect(asked).toHaveLength(1);
  });
});

test("a key goes to no address that a redirect names", async () => {
  const elsewhere = await startService();
  const { env } = await startService({ "GET /v1/me": () => ({ status: 302, headers: { location: elsewhere.url } }) });
  const { code, err } = await terminal({
    env: { ...env, SAZABI_SECRET_KEY: env.SAZABI_SECRET_KEY ?? someKey("secret") },
  }).run(["whoami"]);
  expect(code).toBe(1);
  expect(err).toContain("redirect");
  expect(elsewhere.asked).toEqual([]);
});
