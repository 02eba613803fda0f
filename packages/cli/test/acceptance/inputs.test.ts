import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { SazabiAdmin } from "@sazabi/sdk";
import { startTestService, type TestService } from "@sazabi/service/testing";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { finished, sazabi, start } from "../support/process.ts";
import { scratchDirectory } from "../support/terminal.ts";

/*
 * What `logs send` reads: pipes, named pipes, files that are moved. The forms are those that lost lines in similar tools.
 */

let service: TestService;
let admin: SazabiAdmin;
beforeAll(async () => {
  service = await startTestService();
  admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
});
afterAll(() => service?.close());

/** A project of its own, and what is stored in it, oldest first. */
async function newProject() {
  const project = await admin.projects.create({ name: `p${Math.random().toString(36).slice(2)}` });
  const { value } = await admin.publicKeys.create({ name: "writer", projectId: project.id });
  const env = { SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: service.secretKey, SAZABI_PROJECT_ID: project.id };
  const home = scratchDirectory();
  const send = (argv: readonly string[]) => {
    const child = start(home, ["logs", "send", ...argv, "--public-key", value], { env });
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  };
  const stored = async () => {
    const { out } = await sazabi(home, ["logs", "query", "*", "--all", "--json", "--fields", "message"], { env });
    const messages = out.split("\n").filter(Boolean);
    return messages.map((line) => JSON.parse(line).message as string).toSorted();
  };
  const untilStored = async (count: number) => {
    while ((await stored()).length < count) await new Promise((resolve) => setTimeout(resolve, 50));
  };
  return { home, send, stored, untilStored };
}

describe("logs send", () => {
  test("reads a pipe to its end, with and without a line end", async () => {
    for (const input of ["a\nb\n", "a\nb"]) {
      const { send, stored } = await newProject();
      const child = send([]);
      const end = finished(child);
      child.stdin?.end(input);
      expect(await end).toMatchObject({ code: 0, out: expect.stringContaining("2 accepted") });
      expect(await stored()).toEqual(["a", "b"]);
    }
  });

  test("reads gzip of several members from a pipe", async () => {
    const { send, stored } = await newProject();
    const child = send([]);
    const end = finished(child);
    child.stdin?.end(Buffer.concat([gzipSync("a\n"), gzipSync("b\n")]));
    expect(await end).toMatchObject({ code: 0 });
    expect(await stored()).toEqual(["a", "b"]);
  });

  test("says of a pipe with gzip that text follows it, and sends what is packed", async () => {
    const { send, stored } = await newProject();
    const child = send([]);
    const end = finished(child);
    child.stdin?.end(Buffer.concat([gzipSync("a\nb\n"), Buffer.from("trailing")]));
    const { code, out, err } = await end;
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining("2 accepted") });
    expect(err).toContain("left out");
    expect(await stored()).toEqual(["a", "b"]);
  });

  test.skipIf(process.platform === "win32")("reads a named pipe and /dev/null", async () => {
    const { home, send, stored } = await newProject();
    const fifo = join(home, "fifo");
    spawnSync("sh", ["-c", `mkfifo '${fifo}'`]);
    const end = finished(send([fifo]));
    const writer = spawn("sh", ["-c", `printf 'a\\nb' > '${fifo}'`]);
    onTestFinished(() => void writer.kill("SIGKILL"));
    expect(await end).toMatchObject({ code: 0 });
    expect(await finished(send(["/dev/null"]))).toMatchObject({ code: 0, out: expect.stringContaining("0 accepted") });
    expect(await stored()).toEqual(["a", "b"]);
  });

  test.skipIf(process.platform === "win32").each([
    ["SIGINT", 130],
    // Ended by the signal itself, without a code.
    ["SIGTERM", -1],
  ] as const)("of a pipe that goes on has sent every whole line when it gets %s", async (signal, code) => {
    const { send, stored, untilStored } = await newProject();
    const child = send([]);
    const end = finished(child);
    child.stdin?.write("a\nb\nunfini");
    await untilStored(2);
    child.kill(signal);
    expect((await end).code).toBe(code);
    expect(await stored()).toEqual(["a", "b"]);
  });

  test.skipIf(process.platform === "win32")(
    "--follow goes with a link that is moved and a file that is deleted",
    async () => {
      const { home, send, stored, untilStored } = await newProject();
      const [link, one, two] = [join(home, "live.log"), join(home, "one.log"), join(home, "two.log")];
      writeFileSync(one, "1\n2\n");
      symlinkSync(one, link);
      send(["--follow", link]);
      await untilStored(2);
      appendFileSync(one, "3\n");
      writeFileSync(two, "4\n");
      symlinkSync(two, `${link}.new`);
      renameSync(`${link}.new`, link);
      await untilStored(4);
      rmSync(two);
      writeFileSync(two, "5\n6\n");
      await untilStored(6);
      expect(await stored()).toEqual(["1", "2", "3", "4", "5", "6"]);
    },
  );
});
