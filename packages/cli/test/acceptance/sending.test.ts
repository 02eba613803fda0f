import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SazabiAdmin } from "@sazabi/sdk";
import { startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sazabi } from "../support/process.ts";
import { scratchDirectory } from "../support/terminal.ts";

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service?.close());

/** Sends a file into a project of its own; `found` are the entries of the command that it suggests. */
async function sent(name: string, lines: readonly string[], options: readonly string[] = []) {
  const project = await admin.projects.create({ name: `p${Math.random().toString(36).slice(2)}` });
  const env = { SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: service.secretKey, SAZABI_PROJECT_ID: project.id };
  const home = scratchDirectory();
  const file = join(home, name);
  writeFileSync(file, `${lines.join("\n")}\n`);
  const { code, err } = await sazabi(home, ["logs", "send", file, ...options], { env });
  expect({ code, err }).toMatchObject({ code: 0 });
  const command = /^See them: sazabi (.*)$/m.exec(err)?.[1] ?? "";
  // Read by a shell, as a person would paste it.
  const argv = spawnSync("sh", ["-c", `printf '%s\\n' ${command}`], { encoding: "utf8" })
    .stdout.trimEnd()
    .split("\n");
  const answer = await sazabi(home, [...argv, "--oldest-first", "--ndjson"], { env });
  const found = answer.out
    .trimEnd()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  return { command, found, err };
}

const ago = (ms: number) => new Date(Date.now() - ms);
const dayMs = 86_400_000;

describe("the command that logs send suggests shows what was sent", () => {
  test("of a journal, with its times, services and texts", async () => {
    const time = ago(3 * dayMs);
    const common = { __CURSOR: "s=1", __REALTIME_TIMESTAMP: String(time.getTime() * 1000), PRIORITY: "3" };
    const { found } = await sent("journal.json", [
      JSON.stringify({ ...common, MESSAGE: "one", SYSLOG_IDENTIFIER: "cron" }),
      JSON.stringify({ ...common, MESSAGE: [116, 119, 111, 27], _SYSTEMD_UNIT: "ssh.service" }),
    ]);
    expect(found).toMatchObject([
      {
        message: "one",
        service: "cron",
        level: "error",
        timestamp: expect.stringContaining(time.toISOString().slice(0, -1)),
      },
      { message: "two\u001b", service: "ssh.service", level: "error" },
    ]);
  });

  test.each(["we ird (1)", "*", 'q"uote\\', "it's", "OR"])("of a service with the name %s", async (name) => {
    const { found } = await sent("a.log", ["x"], ["--service", name]);
    expect(found).toMatchObject([{ message: "x", service: name }]);
  });

  test("of old lines", async () => {
    const time = ago(10 * dayMs).toISOString();
    const { found } = await sent("old.log", [`${time} ERROR boom`, "    at a", `${time} next`], ["--line-times"]);
    expect(found.map(({ message, level }) => [message, level])).toEqual([
      [`${time} ERROR boom\n    at a`, "error"],
      [`${time} next`, "info"],
    ]);
  });

  test("of entries whose nested members only look like a service", async () => {
    const { found } = await sent("gke.log", [
      '{"message":"a","protoPayload":{"serviceName":"k8s.io"}}',
      '{"message":"b","service":null}',
    ]);
    expect(found.map(({ message, service: name }) => [message, name]).sort()).toEqual([
      ["a", "gke"],
      ["b", "gke"],
    ]);
  });
});
