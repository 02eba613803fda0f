import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SazabiAdmin } from "@sazabi/sdk";
import { startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { queryLanguageText } from "../../src/help/topic-texts.ts";
import { readHelpPages } from "../../src/reference.ts";
import { bin, finished, isolated, sazabi } from "../support/process.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

const pages = (await readHelpPages()).filter(({ isGroup }) => !isGroup);
/** Without the remark that stands beside some. */
const examples = [...new Set(pages.flatMap((page) => page.examples.map((text) => text.replace(/ {3,}.*/, ""))))];

/** What is not run here, and why. */
const notRun: Readonly<Record<string, string>> = {
  "sazabi auth login": "asks at a terminal",
  "sazabi auth login --profile work": "asks at a terminal",
  "sazabi auth login --key - < key.txt": "needs a keychain that runs; keychain.test.ts has one",
  "sazabi keys revoke-all --unused-for 90d": "asks at a terminal for the organization's name",
  "sazabi logs send --follow /var/log/app.log": "goes on until Ctrl-C; following.test.ts follows files",
  "sazabi open": "opens a browser",
  "sazabi open docs": "opens a browser",
  "source <(sazabi completion zsh)": "is for zsh; completion.test.ts runs it there",
  "sazabi completion powershell | Out-String | Invoke-Expression": "is for PowerShell",
};

/** These end when they are interrupted, once they have printed something. */
const endless = examples.filter((example) => example.startsWith("sazabi logs tail"));
const finite = examples.filter((example) => !endless.includes(example) && !(example in notRun));

/** Programs of others that the examples work with, as far as they need them. */
const programs: Readonly<Record<string, string>> = {
  sazabi: `#!/bin/sh\nexec "${process.execPath}" "${bin}" "$@"\n`,
  gh: '#!/bin/sh\n[ "$1 $2 $3" = "secret set SAZABI_SECRET_KEY" ] && exec cat > "$HOME/handed-over"\n',
  journalctl: `#!/bin/sh\necho '{"MESSAGE":"started","PRIORITY":"6"}'\n`,
  jq: `#!${process.execPath}
if (process.argv.slice(2).join(" ") !== "-r .message") process.exit(2);
require("node:readline").createInterface(process.stdin).on("line", (line) => console.log(JSON.parse(line).message));
process.on("SIGINT", () => {});
`,
};

let service: TestService;
let admin: SazabiAdmin;
let shop: string;
/** A home with all that the examples name: each of them works on a copy. */
let template: string;

beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
  shop = (await admin.projects.create({ name: "shop" })).id;
  template = mkdtempSync(join(tmpdir(), "sazabi-examples-"));
  for (const folder of ["bin", "log", ".config/fish/completions"])
    mkdirSync(join(template, folder), { recursive: true });
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(template, "bin", name), text);
    chmodSync(join(template, "bin", name), 0o755);
  }
  writeFileSync(join(template, "key.txt"), `${service.secretKey}\n`);
  writeFileSync(join(template, ".env"), "SAZABI_SECRET_KEY=before\nSAZABI_PUBLIC_KEY=before\n");
  writeFileSync(join(template, "change.json"), '{"name":"shop"}');
  writeFileSync(join(template, "log", "dpkg.log"), "2026-11-22 08:00:00 status installed\nERROR no space left\n");
  for (const profile of ["default", "work"]) {
    const login = ["auth", "login", "--profile", profile, "--key-file", join(template, "key.txt"), "--store", "file"];
    const env = { SAZABI_API_URL: service.url };
    for (const argv of [login, ["config", "set", "projectId", shop, "--profile", profile]]) {
      const { code, err } = await sazabi(template, argv, { env });
      if (code !== 0) throw new Error(err);
    }
  }
});
afterAll(async () => {
  rmSync(template, { recursive: true, force: true });
  await service?.close();
});

/** As a person's shell, in a directory that has what the example names. */
function shell(example: string, secretKey: string): ChildProcess {
  const home = scratchDirectory();
  cpSync(template, home, { recursive: true });
  const line = example
    .replaceAll("http://127.0.0.1:4600", service.url)
    .replaceAll("/var/log/", `${home}/log/`)
    .replace("/v1/projects/ID", `/v1/projects/${shop}`);
  const env = isolated(home, { SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: secretKey });
  return spawn("bash", ["--noprofile", "--norc", "-o", "pipefail", "-c", line], {
    cwd: home,
    detached: true,
    env: { ...env, PATH: `${join(home, "bin")}:${env.PATH}` },
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** One live secret key `ci` and one public key `web`, whatever the examples before did to them. */
async function renewKeys(): Promise<void> {
  const secret = (await admin.secretKeys.list({ limit: 100 })).items.filter(({ name }) => name === "ci");
  for (const { id } of secret) await admin.secretKeys.revoke(id);
  const published = (await admin.publicKeys.list({ limit: 100, projectId: shop })).items;
  for (const { id } of published.filter(({ name }) => name === "web")) {
    await admin.publicKeys.deactivate(id, { projectId: shop });
  }
  await admin.secretKeys.create({ name: "ci" });
  await admin.publicKeys.create({ name: "web", projectId: shop });
}

describe("the examples of the help", () => {
  test("are on every page of a command that does something, and those that are not run are still there", () => {
    expect(pages.filter((page) => page.examples.length === 0).map(({ words }) => words)).toEqual([]);
    expect(Object.keys(notRun).filter((example) => !examples.includes(example))).toEqual([]);
    expect(finite.length + endless.length + Object.keys(notRun).length).toBe(examples.length);
    expect(finite.length).toBeGreaterThan(60);
  });

  test.each(finite)("%s", async (example) => {
    if (/\b(ci|web)\b/.test(example)) await renewKeys();
    // It rotates the key in use, which the other examples go on using.
    const secretKey = example.includes("--self")
      ? (await admin.secretKeys.create({ name: "in use" })).value
      : service.secretKey;
    if (example.endsWith("--finish")) {
      const started = await finished(shell(example.replace("--finish", "--stdout"), secretKey));
      expect(started.err, started.err).not.toContain("error:");
    }
    const { code, err } = await finished(shell(example, secretKey));
    expect({ code, err: err.match(/^(error|warning):.*/gm) }, err).toEqual({ code: 0, err: null });
  });

  test.each(endless)("%s", async (example) => {
    const child = shell(example, service.secretKey);
    const group = -(child.pid as number);
    onTestFinished(() => void (child.exitCode ?? child.signalCode ?? process.kill(group, "SIGKILL")));
    const ended = finished(child);
    const printed = new Promise((resolve) => child.stdout?.once("data", resolve));
    // It prints what comes after it began, and nobody knows when that is.
    const sending = setInterval(() => void sendError(), 200);
    await Promise.race([printed, ended]).finally(() => clearInterval(sending));
    process.kill(group, "SIGINT");
    expect(await ended).toMatchObject({ code: 130, out: expect.stringContaining("broken") });
  });

  async function sendError(): Promise<void> {
    await terminal({
      env: { SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: service.secretKey },
      stdin: '{"level":"error","message":"broken","service":"checkout"}\n',
    }).run(["logs", "send", "--project", shop]);
  }
});

const queries = queryLanguageText.flatMap((block) => (typeof block === "string" ? [] : block.map(([query]) => query)));

test.each(queries)("the query of sazabi help query-language is understood: %s", async (query) => {
  const env = { SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: service.secretKey };
  const { code, err } = await terminal({ env }).run(["logs", "query", "--project", shop, "--", query]);
  expect(code, err).toBe(0);
  expect(err).not.toContain("warning");
});
