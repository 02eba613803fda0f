import { spawn } from "node:child_process";
import type { Readable } from "node:stream";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { maskKeys } from "../output/mask.ts";

/** A child that needs a key gets the new one on its stdin, and no other from us. */
const keyVariables = ["SAZABI_SECRET_KEY", "SAZABI_TOKEN", "SAZABI_PUBLIC_KEY"];

/**
 * Runs a command of the shell with `value` on its stdin, without a line end. What it prints goes to stderr, keys in it
 * masked. Throws when it fails.
 */
export async function handToCommand(context: Context, command: string, value: string): Promise<void> {
  const child = spawn(command, {
    shell: true,
    env: Object.fromEntries(Object.entries(context.env).filter(([name]) => !keyVariables.includes(name))),
    stdio: ["pipe", "pipe", "pipe"],
    signal: context.signal,
  });
  // A command that does not read its input has its reasons; whether it worked is for its exit code to say.
  child.stdin.on("error", () => {}).end(value);
  for (const stream of [child.stdout, child.stderr]) forward(stream, (text) => context.stderr.write(text));
  const end = await new Promise<string | undefined>((resolve, reject) => {
    child.on("error", (cause) => reject(failed(cause.message, cause)));
    child.on("close", (code, signal) => resolve(code === 0 ? undefined : (signal ?? `exit code ${code}`)));
  });
  if (end !== undefined) throw failed(end);
}

function failed(reason: string, cause?: unknown): CliError {
  return new CliError(`The command to hand over the new secret failed (${reason}).`, {
    code: "HAND_OVER_FAILED",
    cause,
  });
}

const longestLine = 64 * 1024;

/** Line by line, so that a key is seen whole. */
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
