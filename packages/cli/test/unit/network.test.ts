import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { proxyFor } from "../../src/proxy.ts";
import { makeAuthority, makeSelfSigned, startTls } from "../support/authority.ts";
import { asElsewhere, elsewhere, startProxy } from "../support/proxy.ts";
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
    expect(err).not.toContain("Is it running?");
    expect(asked).toEqual([]);
  });

  test.each([
    ["is for another name", () => makeAuthority("DNS:other.example"), "--ca-file"],
    ["signs itself", makeSelfSigned, undefined],
  ])("whose certificate %s runs: the error is about the certificate, in every command", async (_, make, option) => {
    const { secretKey, url, asked } = await startService();
    const authority = make();
    const env = { SAZABI_API_URL: await startTls(authority, url), SAZABI_SECRET_KEY: secretKey };
    const trust = option ? [option, authority.caFile] : [];
    for (const argv of [["whoami"], ["keys", "list"], ["logs", "query"], ["api", "GET", "/v1/me"]]) {
      const { code, err } = await terminal({ env }).run([...argv, ...trust]);
      expect({ code, err }).toEqual({ code: 5, err: expect.stringContaining("certificate") });
      expect(err).not.toContain("Is it running?");
    }
    const { out } = await terminal({ env }).run(["doctor", ...trust]);
    expect(out).toMatch(/FAIL {2}address .*certificate/);
    expect(out).not.toContain("Is it running?");
    expect(asked).toEqual([]);
  });

  test("is trusted with --ca-file, and with SAZABI_CA_FILE", async () => {
    const { env, caFile } = await behindTls();
    expect(await terminal({ env }).run(["whoami", "--ca-file", caFile])).toMatchObject({ code: 0 });
    expect(await terminal({ env: { ...env, SAZABI_CA_FILE: caFile } }).run(["whoami"])).toMatchObject({ code: 0 });
  });

  test("a file that is not there, contains no certificate or a damaged one is a usage error that names it", async () => {
    const { env } = await behindTls();
    const folder = scratchDirectory();
    const [empty, damaged] = [join(folder, "empty.pem"), join(folder, "damaged.pem")];
    writeFileSync(empty, "hello");
    writeFileSync(damaged, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    for (const [file, words] of [
      [join(folder, "none.pem"), "cannot read"],
      [empty, "contains no certificate"],
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
    const SAZABI_API_URL = asElsewhere(env.SAZABI_API_URL);
    const through = { ...env, SAZABI_API_URL, HTTPS_PROXY: proxy.url, SAZABI_CA_FILE: caFile };
    expect((await terminal({ env: through }).run(["whoami"])).code).toBe(0);
    expect(proxy.seen).toEqual([`CONNECT ${new URL(SAZABI_API_URL).host}`]);
    expect(asked).toHaveLength(1);
  });
});

/** A service on a host that only a proxy reaches. */
async function startElsewhere(...answers: Parameters<typeof startService>) {
  const service = await startService(...answers);
  const url = asElsewhere(service.url);
  return { ...service, url, env: { ...service.env, SAZABI_API_URL: url } };
}

describe("a proxy", () => {
  test("passes on what goes to an http address, POSTs too", async () => {
    const { env, url, asked } = await startElsewhere({
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
    const { env } = await startElsewhere();
    const proxy = await startProxy({ login: "ann:secret" });
    expect((await terminal({ env: { ...env, HTTP_PROXY: proxy.url } }).run(["whoami"])).code).toBe(0);
    const { code, err } = await terminal({ env: { ...env, HTTP_PROXY: `http://${proxy.host}` } }).run(["whoami"]);
    expect(code).toBe(5);
    expect(err).toContain("the proxy wants a user and a password");
    expect(err).toContain(`the proxy http://${proxy.host} (HTTP_PROXY)`);
  });

  test("that is down is named, without its password, and so is the way past it", async () => {
    const { env } = await startElsewhere();
    const HTTP_PROXY = "http://ann:secret@127.0.0.1:9";
    const { code, err } = await terminal({ env: { ...env, HTTP_PROXY } }).run(["whoami"]);
    expect(code).toBe(5);
    expect(err).toContain("connection refused; on the way through the proxy http://127.0.0.1:9 (HTTP_PROXY)");
    expect(err).toContain(`NO_PROXY=${elsewhere}`);
    expect(err).not.toContain("secret@");
  });

  test.each(["socks5://127.0.0.1:9", "socks5h://proxy", "http://", "direct://"])(
    "that is %s is a usage error where it is used, and nowhere else",
    async (other) => {
      const [here, there] = [await startService(), await startElsewhere()];
      const proxies = { HTTP_PROXY: other, HTTPS_PROXY: other };
      const used = await terminal({ env: { ...there.env, ...proxies } }).run(["whoami"]);
      expect(used).toMatchObject({ code: 2, err: expect.stringContaining("HTTP_PROXY is not the address") });
      expect(await terminal({ env: { ...here.env, ...proxies } }).run(["whoami"])).toMatchObject({ code: 0, err: "" });
      const excepted = { ...there.env, ...proxies, NO_PROXY: elsewhere };
      expect((await terminal({ env: excepted }).run(["whoami"])).code).toBe(5);
      const proxy = await startProxy();
      const forHttpOnly = { ...there.env, HTTPS_PROXY: other, HTTP_PROXY: proxy.url };
      expect((await terminal({ env: forHttpOnly }).run(["whoami"])).code).toBe(0);
    },
  );

  test("is gone past where NO_PROXY names the host", async () => {
    const { env } = await startElsewhere();
    const proxy = await startProxy();
    const { run } = terminal({ env: { ...env, HTTP_PROXY: proxy.url, NO_PROXY: `example.com, ${elsewhere}` } });
    const { code, err } = await run(["whoami"]);
    // The host is known to the proxy alone.
    expect({ code, seen: proxy.seen }).toEqual({ code: 5, seen: [] });
    expect(err).not.toContain("proxy");
  });

  test.each(["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0", "LOCALHOST", "127.0.0.2"])(
    "is never told of a request to this machine: %s",
    async (host) => {
      const { url, env, asked } = await startService();
      const proxy = await startProxy();
      const SAZABI_API_URL = url.replace("127.0.0.1", host);
      const proxies = { HTTP_PROXY: proxy.url, HTTPS_PROXY: proxy.url, http_proxy: proxy.url };
      await terminal({ env: { ...env, ...proxies, SAZABI_API_URL } }).run(["whoami", "--timeout", "5"]);
      await terminal({ env: { ...env, ...proxies, SAZABI_API_URL } }).run(["api", "GET", "/v1/me", "--timeout", "5"]);
      expect(proxy.seen).toEqual([]);
      // Not every machine has an IPv6 loopback or all of 127.0.0.0/8.
      if (host === "127.0.0.1") expect(asked).toHaveLength(2);
    },
  );

  test.each([
    [403, {}, "<h1>Forbidden</h1>"],
    [502, {}, ""],
    [503, { "retry-after": "0" }, ""],
    [302, { location: "http://login.example.com/" }, ""],
    [200, { "content-type": "text/html" }, "<h1>Log in to the network</h1>"],
    [401, { "content-type": "application/json" }, '{"reason":"invalid_api_key"}'],
  ])("that answers %s by itself is named, not the service", async (status, headers, body) => {
    const { env, asked } = await startElsewhere();
    const proxy = await startProxy({ own: { status, headers, body } });
    for (const argv of [["whoami"], ["keys", "list"], ["api", "GET", "/v1/me"]]) {
      const { code, out, err } = await terminal({ env: { ...env, HTTP_PROXY: proxy.url } }).run(argv);
      expect({ code, out }).toEqual({ code: 5, out: "" });
      expect(err).toContain(`the proxy answered by itself, with status ${status}`);
      expect(err).toContain(`the proxy http://${proxy.host} (HTTP_PROXY)`);
    }
    expect(asked).toEqual([]);
  });

  test.each([
    "http://example.com",
    "10.0.0.0/33",
    "10.0.0/8",
    "example.com/24",
    "host:http",
    '"localhost"',
    "<x>",
    "ü..\u0000",
  ])("with %j in NO_PROXY is used, and one warning names the entry", async (entry) => {
    const { env } = await startElsewhere({
      "GET /v1/secret-keys": () => ({ body: { secretKeys: [], nextCursor: null } }),
      "GET /v1/public-keys": () => ({ body: { publicKeys: [], nextCursor: null } }),
    });
    const proxy = await startProxy();
    const { run } = terminal({ env: { ...env, HTTP_PROXY: proxy.url, NO_PROXY: `example.com,${entry}` } });
    const { code, err } = await run(["keys", "list"]);
    expect({ code, requests: proxy.seen.length }).toEqual({ code: 0, requests: 2 });
    expect(err.match(/^NO_PROXY: .* ignored/gm)).toEqual([`NO_PROXY: ${JSON.stringify(entry)} ignored`]);
    const past = { ...env, HTTP_PROXY: proxy.url, NO_PROXY: `${entry},${elsewhere}` };
    expect((await terminal({ env: past }).run(["whoami"])).err).not.toContain("ignored");
  });

  test("is of no matter to a service on this machine, whatever NO_PROXY holds", async () => {
    const { env } = await startService();
    const proxies = { HTTP_PROXY: "http://127.0.0.1:9", NO_PROXY: "http://example.com" };
    expect((await terminal({ env: { ...env, ...proxies } }).run(["whoami"])).code).toBe(0);
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
    ["http://10.1.2.3:4600", "", false],
    ["http://10.1.2.3:4600", "10.0.0.0/8", true],
    ["http://10.1.2.3:4600", "10.1.2.3/32", true],
    ["http://10.1.2.3:4600", "10.1.2.0/31", false],
    ["http://10.1.2.3:4600", "0.0.0.0/0", true],
    ["http://10.1.2.3:4600", "10.*", true],
    ["http://10.1.2.3:4600", "10.1.2.*", true],
    ["http://10.1.2.3:4600", "10.1.3.*", false],
    ["http://110.1.2.3:4600", "10.*", false],
    ["http://10.1.2.3:4600", "10.1.2.3:4600", true],
    ["http://10.1.2.3:4600", "10.1.2.3:80", false],
    ["http://[fd00::1]:4600", "fd00::/8", true],
    ["http://[fd00::1]:4600", "fe00::/8", false],
    ["http://[fd00::1]:4600", "fd00:0::1", true],
    ["http://[fd00::1]:4600", "[fd00::1]:4600", true],
    ["http://[fd00::1]:4600", "[fd00::1]:4601", false],
    ["https://api.eu.example.com", "api.*.example.com", true],
    ["https://api.example.com", "*example.com", true],
    ["https://bücher.example", "bücher.example", true],
    ["https://a.bücher.example", "*.BÜCHER.example:443", true],
    ["https://bücher.example", "xn--bcher-kva.example", true],
    ["https://例え.jp", "other.jp,例え.jp", true],
    ["https://bucher.example", "bücher.example", false],
    ["https://intranet", "<local>", true],
    ["https://intranet.example.com", "<local>", false],
    ["http://10.1.2.3", "<local>", false],
    ["http://[fd00::1]", "<local>", false],
    ["https://api.example.com", "<nothing>,example.com", true],
    ["https://apixexample.com", "api.example.*", false],
    ["https://api.example.com.", "example.com", true],
    ["https://api.example.com", "example.com.", true],
    ["https://10.example.com", "10.0.0.0/8", false],
    ["http://127.0.0.1:4600", "", true],
    ["http://127.8.9.1:4600", "", true],
    ["http://2130706433:4600", "", true],
    ["http://[::1]:4600", "", true],
    ["http://[::ffff:127.0.0.1]:4600", "", true],
    ["http://localhost:4600", "", true],
    ["http://localhost.:4600", "", true],
    ["http://app.localhost", "", true],
    ["http://localhost.example.com", "", false],
    ["http://notlocalhost", "", false],
    ["http://128.0.0.1", "", false],
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
