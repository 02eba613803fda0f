import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { maskKeys } from "../output/mask.ts";

/** Variables removed from the child's environment. The child gets the new key on stdin. */
const keyVariables = ["SAZABI_SECRET_KEY", "SAZABI_TOKEN", "SAZABI_PUBLIC_KEY"];

/**
 * Runs a shell command with `value` on its stdin, without a line end. Its output goes to stderr, with keys masked.
 * Throws if the command fails.
 */
export async function handToCommand(context: Context, command: string, value: string): Promise<void> {
  const child = spawn(command, {
    shell: true,
    env: Object.fromEntries(Object.entries(context.env).filter(([name]) => !keyVariables.includes(name))),
    stdio: ["pipe", "pipe", "pipe"],
    signal: context.signal,
  });
  // The command need not read its stdin; its exit code decides whether it succeeded.
  child.stdin.on("error", () => {}).end(value);
  for (const stream of [child.stdout, child.stderr]) forward(stream, (text) => context.stderr.write(text));
  const end = await new Promise<string | undefined>((resolve, reject) => {
    child.on("error", (cause) => reject(failed(cause.message, cause)));
    child.on("close", (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
  if (end !== undefined) throw failed(end);
}

function failed(reason: string, cause?: unknown): CliError {
  return new CliError(`The command that receives the new secret failed (${reason}).`, {
    code: "HAND_OVER_FAILED",
    cause,
  });
}

const longestLine = 64 * 1024;

/** Forwards whole lines, so that no key is split across writes. */
function forward(stream: Readable, write: (text: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() as string;
    for (const line of lines) write(`${maskKeys(line)}\n`);
    if (rest.length > longestLine) flush();
  });
  stream.on("end", flush);

  function flush() {
    if (rest !== "") write(maskKeys(rest));
    rest = "";
  }
}
