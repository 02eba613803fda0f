// Measures the start-up cost of the command line: user and system processor time of whole processes, alternating with
// an empty Node process (`node -e 0`). Only the command line is measured; it calls the real service.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { openEmbeddedPostgres } from "../../packages/service/src/embedded-postgres.ts";
import { printRatios, startSubject } from "./harness.ts";

const rounds = 30;
/** Processes timed together, because the shell's resolution of a millisecond is too coarse for one. */
const together = 2;
const entries = 100;

const bin = fileURLToPath(new URL("../../packages/cli/bin/sazabi.cjs", import.meta.url));
const home = await mkdtemp(join(tmpdir(), "sazabi-bench-"));
const postgres = await openEmbeddedPostgres({ dataDir: home });
try {
  const program = new URL("intake-service.mjs", import.meta.url);
  const service = await startSubject(program, { DATABASE_URL: postgres.url, DATA_DIR: home });
  const { publicKey, secretKey } = service.started["firstKeys"] as { publicKey: string; secretKey: string };
  await sendEntries(service.url, publicKey);
  const env = { PATH: process.env.PATH, HOME: home, SAZABI_API_URL: service.url, SAZABI_SECRET_KEY: secretKey };

  const commands = {
    node: ["-e", "0"],
    version: [bin, "--version"],
    help: [bin, "--help"],
    keysInspect: [bin, "keys", "inspect", secretKey],
    logsQuery: [bin, "logs", "query", "--limit", `${entries}`],
  };
  const [busy = 0] = loadavg();
  if (busy > availableParallelism() / 2) console.log(`This machine is busy (load ${busy.toFixed(1)}): expect noise.`);
  const least = new Map<string, number>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, argv] of Object.entries(commands)) {
      const ms = await processorMs(argv, env);
      least.set(name, Math.min(ms, least.get(name) ?? Number.POSITIVE_INFINITY));
    }
  }
  await service.close();
  for (const [name, ms] of least) console.log(`${name.padEnd(12)} ${ms.toFixed(1).padStart(6)} ms`);
  const { node = Number.NaN, ...others } = Object.fromEntries(least);
  printRatios(Object.fromEntries(Object.entries(others).map(([name, ms]) => [name, ms / node])));
} finally {
  await postgres.close();
  await rm(home, { recursive: true, force: true });
}

async function sendEntries(url: string, publicKey: string): Promise<void> {
  const lines = Array.from({ length: entries }, (_, i) => ({
    level: i % 10 === 0 ? "error" : "info",
    message: `payment ${i} took ${i * 7} ms`,
    service: "checkout",
    attributes: { "http.status_code": 200, region: "eu-west-1" },
  }));
  const headers = { "content-type": "application/json", "x-sazabi-key": publicKey };
  const answer = await fetch(`${url}/v1/logs`, { method: "POST", headers, body: JSON.stringify(lines) });
  if (answer.status !== 202) throw new Error(`The service took no entries: status ${answer.status}.`);
}

/** Returns the average time per process of those timed together. Their output goes to a pipe, as in a script. */
async function processorMs(argv: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's.
  const script = 'TIMEFORMAT="%3U %3S"; time { for _ in $(seq "$1"); do "${@:2}" 2>/dev/null || exit 1; done; }';
  const child = spawn("bash", ["-c", script, "bash", `${together}`, process.execPath, ...argv], {
    env: { ...env, LC_ALL: "C" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  child.stdout.resume();
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  const [code] = await once(child, "close");
  const [, user, system] = /([\d.]+) ([\d.]+)\s*$/.exec(said) ?? [];
  if (code !== 0 || user === undefined) throw new Error(`${argv.join(" ")} ended with exit code ${code}.`);
  return ((Number(user) + Number(system)) * 1000) / together;
}
