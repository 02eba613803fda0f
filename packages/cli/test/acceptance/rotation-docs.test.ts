import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { SazabiAdmin } from "@sazabi/sdk";
import { startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { finished } from "../support/process.ts";
import { scratchDirectory } from "../support/terminal.ts";

const root = fileURLToPath(new URL("../../../../", import.meta.url));
const page = readFileSync(join(root, "docs/rotation.md"), "utf8");

/** Not repeated here: it has been run before every test, and would replace what others are running. */
const builds = "npm run build";

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service?.close());

/** The YAML block of the page that begins with this comment. */
function blockOf(comment: string): string {
  const block = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text]) => text as string);
  return block.find((text) => text.startsWith(`# ${comment}`)) as string;
}

/** What stands after each `opener`, on its line or, after `|`, indented below it. */
function scriptsOf(yaml: string, opener: RegExp): readonly string[] {
  const lines = yaml.split("\n");
  return lines.flatMap((line, i) => {
    const [, indent = "", text = ""] = opener.exec(line) ?? [];
    if (text !== "|") return text === "" ? [] : [text];
    const rest = lines.slice(i + 1);
    const end = rest.findIndex((one) => one.trim() !== "" && one.search(/\S/) <= indent.length);
    const body = end < 0 ? rest : rest.slice(0, end);
    const margin = (body[0] as string).search(/\S/);
    return [body.map((one) => one.slice(margin)).join("\n")];
  });
}

/** As the runners do: a file of commands, in bash, that ends with the first that fails. */
function runStep(script: string, home: string, env: Record<string, string>) {
  const file = join(home, "step.sh");
  writeFileSync(file, script);
  const path = `${join(home, "bin")}:${process.env.PATH}`;
  const child = spawn("bash", ["--noprofile", "--norc", "-eo", "pipefail", file], {
    cwd: root,
    env: { HOME: home, PATH: path, CI: "true", SAZABI_API_URL: service.url, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  return finished(child);
}

async function works(secretKey: string): Promise<boolean> {
  return new SazabiAdmin({ secretKey, baseUrl: service.url }).me().then(
    () => true,
    () => false,
  );
}

describe("the workflow for GitHub Actions", () => {
  const [build, rotate = ""] = scriptsOf(blockOf(".github/workflows/rotate-sazabi-key.yml"), /^(\s*)(?:- )?run: (.*)$/);

  /** A fresh runner, with a `gh` that keeps secrets in a folder. */
  function runner(secrets: string) {
    const home = scratchDirectory();
    mkdirSync(join(home, "bin"));
    const gh = join(home, "bin", "gh");
    writeFileSync(
      gh,
      `#!/bin/sh\n[ "$1 $2 $#" = "secret set 3" ] && [ -n "$GH_TOKEN" ] || exit 2\n[ ! -e "${secrets}/down" ] || { echo "HTTP 502" >&2; exit 1; }\nexec cat > "${secrets}/$3"\n`,
    );
    chmodSync(gh, 0o755);
    return home;
  }

  const environment = (SAZABI_SECRET_KEY: string) => ({
    SAZABI_SECRET_KEY,
    GITHUB_ACTIONS: "true",
    GITHUB_RUN_ID: "1234567890",
    GH_TOKEN: "token",
    GH_REPO: "acme/shop",
  });

  test("builds what these tests run", () => expect(build).toBe(builds));

  test("holds no secret in the text of a step", () => {
    expect(rotate).toContain("npx sazabi keys rotate");
    expect(rotate).not.toContain("${{");
  });

  test("rotates the repository's secret, and its log shows no secret but in the mask", async () => {
    const { value } = await admin.secretKeys.create({ name: "github" });
    const secrets = scratchDirectory();
    const home = runner(secrets);
    const { code, out, err } = await runStep(rotate, home, environment(value));
    const log = out + err;
    expect({ code, log }).toEqual({ code: 0, log: expect.stringContaining("It works") });
    const stored = readFileSync(join(secrets, "SAZABI_SECRET_KEY"), "utf8");
    expect(stored).not.toBe(value);
    expect(await Promise.all([works(value), works(stored)])).toEqual([true, true]);
    expect(log).toContain(`::add-mask::${stored}\n`);
    const [before = "", after = ""] = log.split(`::add-mask::${stored}\n`);
    expect(before + after).not.toContain(stored.slice(8, -4));
  }, 120_000);

  test("run again on a fresh runner after it failed, hands over the same secret", async () => {
    const { id, value } = await admin.secretKeys.create({ name: "github again" });
    const secrets = scratchDirectory();
    writeFileSync(join(secrets, "down"), "");
    const failed = await runStep(rotate, runner(secrets), environment(value));
    expect(failed.code).toBe(1);
    expect(failed.err).toContain("HTTP 502");
    expect(failed.err).toContain("The previous secret works until");
    expect(existsSync(join(secrets, "SAZABI_SECRET_KEY"))).toBe(false);
    expect(await works(value)).toBe(true);

    const online = scratchDirectory();
    expect((await runStep(rotate, runner(online), environment(value))).code).toBe(0);
    expect(await works(readFileSync(join(online, "SAZABI_SECRET_KEY"), "utf8"))).toBe(true);
    const { items } = await admin.audit.list({ targetId: id, action: "secret_key.rotated" });
    expect(items).toHaveLength(1);
  }, 120_000);
});

describe("the job for GitLab CI", () => {
  const lines = scriptsOf(blockOf(".gitlab-ci.yml"), /^( {4})- (.*)$/).filter((line) => !line.startsWith("if:"));
  const [build, rotate = ""] = lines;

  test("rotates the project's variable, and its log shows no secret", async () => {
    const { value } = await admin.secretKeys.create({ name: "gitlab" });
    const gitlab = await fakeGitlab();
    const home = scratchDirectory();
    expect(build).toBe(builds);
    const { code, out, err } = await runStep(rotate, home, {
      SAZABI_SECRET_KEY: value,
      GITLAB_CI: "true",
      GITLAB_TOKEN: "glpat-1",
      CI_API_V4_URL: gitlab.url,
      CI_PROJECT_ID: "7",
      CI_PIPELINE_ID: "42",
    });
    expect({ code, err }).toEqual({ code: 0, err: expect.stringContaining("It works") });
    expect(gitlab.changes).toHaveLength(1);
    const { stored, ...change } = gitlab.changes[0] as GitlabChange;
    expect(change).toEqual({ line: "PUT /projects/7/variables/SAZABI_SECRET_KEY", token: "glpat-1" });
    expect(await Promise.all([works(value), works(stored)])).toEqual([true, true]);
    expect(out + err).not.toContain(stored.slice(8, -4));
  }, 120_000);

  interface GitlabChange {
    readonly line: string;
    readonly token: unknown;
    readonly stored: string;
  }

  /** GitLab's API, as far as a variable goes. */
  async function fakeGitlab() {
    const changes: GitlabChange[] = [];
    const server = createServer(async (incoming, outgoing) => {
      const chunks: Buffer[] = [];
      for await (const chunk of incoming) chunks.push(chunk as Buffer);
      const [, stored = ""] = /name="value".*?\r\n\r\n(.*?)\r\n--/s.exec(Buffer.concat(chunks).toString()) ?? [];
      changes.push({ line: `${incoming.method} ${incoming.url}`, token: incoming.headers["private-token"], stored });
      outgoing.writeHead(200, { "content-type": "application/json" }).end("{}");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    return { changes, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  }
});
