import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startLoopback } from "../../../sdk/test/support/loopback.ts";
import { someKey, startService } from "../support/service.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

/** Somewhere to find the platform's opener: it notes what it was given and ends with this code. */
function opener(code: number) {
  const directory = scratchDirectory();
  const note = join(directory, "note");
  const program = join(directory, process.platform === "darwin" ? "open" : "xdg-open");
  writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" > ${note}\n/usr/bin/env >> ${note}\nexit ${code}\n`);
  chmodSync(program, 0o755);
  return {
    env: { PATH: directory, DISPLAY: ":0" },
    note: () => (existsSync(note) ? readFileSync(note, "utf8") : undefined),
  };
}

const pages = { "GET /dashboard": () => ({ body: "<html>" }), "GET /docs": () => ({ body: "<html>" }) };

describe.skipIf(process.platform === "win32")("open", () => {
  test("opens the page, and hands no key to the browser", async () => {
    const { env, url, secretKey } = await startPages();
    const browser = opener(0);
    const { run } = terminal({ env: { ...env, ...browser.env } });
    expect(await run(["open"])).toEqual({ code: 0, out: "", err: `Opened ${url}/dashboard\n` });
    expect(browser.note()?.split("\n")[0]).toBe(`${url}/dashboard`);
    expect(browser.note()).not.toContain(secretKey);
    expect(JSON.parse((await run(["open", "docs", "--json"])).out)).toEqual({ url: `${url}/docs`, opened: true });
  });

  test.skipIf(process.platform === "darwin")("prints the address where there is no display", async () => {
    const { env, url } = await startPages();
    const browser = opener(0);
    const { code, out } = await terminal({ env: { ...env, PATH: browser.env.PATH } }).run(["open"]);
    expect({ code, out }).toEqual({ code: 0, out: `${url}/dashboard\n` });
    expect(browser.note()).toBeUndefined();
  });

  test("prints the address when the opener is missing or fails", async () => {
    const { env, url } = await startPages();
    for (const world of [opener(3).env, { DISPLAY: ":0", PATH: scratchDirectory() }]) {
      const { code, out } = await terminal({ env: { ...env, ...world } }).run(["open"]);
      expect({ code, out }).toEqual({ code: 0, out: `${url}/dashboard\n` });
    }
  });

  test("opens no page that does not work now", async () => {
    const browser = opener(0);
    const { url, close } = await startLoopback({ "GET /dashboard": () => ({ status: 503, body: "" }) });
    onTestFinished(close);
    const { code, out, err } = await terminal({ env: { ...browser.env, SAZABI_API_URL: url } }).run(["open"]);
    expect({ code, out }).toEqual({ code: 5, out: "" });
    expect(err).toContain(`The dashboard at ${url}/dashboard does not work now: it answers with status 503.`);
    expect(browser.note()).toBeUndefined();
  });

  test("asks without a key, and says so when the service has no such page", async () => {
    const { env, asked } = await startService();
    const { SAZABI_API_URL } = env;
    const { code, out, err } = await terminal({ env: { SAZABI_API_URL } }).run(["open", "docs"]);
    expect({ code, out }).toEqual({ code: 3, out: "" });
    expect(err).toContain("is run without its docs. `sazabi help`");
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });

  test("does not know other pages", async () => {
    const { code, err } = await terminal().run(["open", "dashbord"]);
    expect(code).toBe(2);
    expect(err).toContain("Did you mean dashboard?");
  });
});

/** Pages are for everybody; the rest of the service wants the key. */
async function startPages() {
  const server = await startLoopback(pages);
  onTestFinished(server.close);
  const secretKey = someKey("secret");
  return { ...server, secretKey, env: { SAZABI_API_URL: server.url, SAZABI_SECRET_KEY: secretKey } };
}
