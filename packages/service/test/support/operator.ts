import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("operator-process.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx");

export interface OperatorProcess {
  readonly process: ChildProcess;
  output(): { readonly stdout: string; readonly stderr: string };
  /** Resolves with the exit code, or the signal, when it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** Starts `sazabi-service` with these arguments and, besides the search path, this environment only. */
export function startOperator(args: readonly string[], env: Readonly<Record<string, string>>): OperatorProcess {
  const child = spawn(process.execPath, ["--import", tsx, "--conditions=sazabi-source", program, ...args], {
    env: { PATH: process.env["PATH"], TMPDIR: process.env["TMPDIR"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  const ended = once(child, "close").then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  return { process: child, output: () => output, ended };
}

/** Runs `sazabi-service` to its end. */
export async function runOperator(args: readonly string[], env: Readonly<Record<string, string>>) {
  const operator = startOperator(args, env);
  const code = await operator.ended;
  return { code, ...operator.output() };
}
