import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

/*
 * The service as a process that cannot listen: it says why, and has written nothing.
 */

const program = fileURLToPath(new URL("support/service-process.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx");
const neighbour = createServer();
let folder: string;
let taken: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "sazabi-start-"));
  neighbour.listen(0, "127.0.0.1");
  await once(neighbour, "listening");
  taken = String((neighbour.address() as AddressInfo).port);
});
afterAll(async () => {
  neighbour.close();
  await rm(folder, { recursive: true });
});

async function start(env: Record<string, string>) {
  const { DATABASE_URL: _, ...inherited } = process.env;
  const child = spawn(process.execPath, ["--conditions=sazabi-source", "--import", tsx, program], {
    env: { ...inherited, SAZABI_DATA_DIR: join(folder, "data"), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: (await exited)[0], stdout, stderr };
}

test.concurrent.each<[string, () => Record<string, string>, RegExp]>([
  ["a taken port", () => ({ PORT: taken }), /^Sazabi cannot listen: port \d+ of 127\.0\.0\.1 is in use\. Set PORT /],
  ["a taken port of all addresses", () => ({ PORT: taken, HOST: "0.0.0.0" }), /of 0\.0\.0\.0 is in use\. Set PORT /],
  [
    "a taken port for metrics",
    () => ({ PORT: "0", SAZABI_METRICS_PORT: taken }),
    /is in use\. Set SAZABI_METRICS_PORT /,
  ],
  ["another machine's address", () => ({ PORT: "0", HOST: "192.0.2.1" }), /192\.0\.2\.1 is no address .* Set HOST /],
  [
    "a host without address",
    () => ({ PORT: "0", HOST: "no.such.invalid" }),
    /no\.such\.invalid is no address .* Set HOST /,
  ],
])("%s is said before anything is written", async (_, env, message) => {
  const { code, stdout, stderr } = await start(env());
  expect({ code, stdout, lines: stderr.trim().split("\n").length }).toEqual({ code: 1, stdout: "", lines: 1 });
  expect(stderr).toMatch(message);
  expect(existsSync(join(folder, "data"))).toBe(false);
});
