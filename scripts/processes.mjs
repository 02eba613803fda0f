import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** An error that is reported without a stack trace. */
export class SetupError extends Error {}

/** Runs a script's body. An error is printed as one line, with exit code 1. */
export async function run(body) {
  try {
    await body();
  } catch (error) {
    process.exitCode = 1;
    say(error instanceof SetupError ? error.message : explain(error));
  }
}

/** Prints a message to stderr, because stdout belongs to the started program. */
export function say(message) {
  process.stderr.write(`${message}\n`);
}

/** Runs a program of node_modules, given by its file. Resolves to its exit code. */
export function runTool(file, args, options = { stdio: "inherit" }) {
  return runProgram(process.execPath, [join(root, "node_modules", file), ...args], options);
}

/** Resolves to the exit code, never to 0 if a signal ended the program. SIGINT and SIGTERM are passed on to it. */
export async function runProgram(program, args, { onOutput, ...options }) {
  const child = spawn(program, args, { cwd: root, ...options });
  child.stdout?.on("data", onOutput);
  child.stderr?.on("data", onOutput);
  const passOn = (signal) => child.kill(signal);
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, passOn);
  try {
    return await new Promise((resolve, reject) => {
      child.once("error", reject).once("close", (code) => resolve(code ?? 130));
    });
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"]) process.removeListener(signal, passOn);
  }
}

function explain(error) {
  if (["EROFS", "EACCES", "EPERM"].includes(error?.code)) {
    return `${error.path ?? root} cannot be written to. Make it yours, or put the clone where you may write.`;
  }
  if (error?.code === "ENOSPC") return "The disk is full.";
  return error?.stack ?? String(error);
}
