import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Run } from "./terminal.ts";

export const bin = fileURLToPath(new URL("../../bin/sazabi.cjs", import.meta.url));

if (!existsSync(new URL("../../dist/core.cjs", import.meta.url))) {
  throw new Error("These tests run the built command line: run `npm run build` first.");
}

export interface ProcessOptions {
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly stdin?: string | Uint8Array;
}

/** Nothing of this machine's person: a home of its own, no keychain, no colour, no key. */
export function isolated(home: string, env: ProcessOptions["env"] = {}): Record<string, string | undefined> {
  return { PATH: process.env.PATH, HOME: home, XDG_CONFIG_HOME: `${home}/.config`, TZ: "UTC", ...env };
}

/** The real command line as a process of its own. */
export function start(home: string, argv: readonly string[], { env }: ProcessOptions = {}): ChildProcess {
  return spawn(process.execPath, [bin, ...argv], { env: isolated(home, env), stdio: ["pipe", "pipe", "pipe"] });
}

export async function sazabi(home: string, argv: readonly string[], options: ProcessOptions = {}): Promise<Run> {
  const child = start(home, argv, options);
  child.stdin?.on("error", () => {}).end(options.stdin);
  return finished(child);
}

export async function finished(child: ChildProcess): Promise<Run> {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr?.on("data", (chunk: Buffer) => err.push(chunk));
  const code = await new Promise<number>((resolve, reject) => {
    // It could not be started: then there is no end either.
    child.on("error", reject);
    child.on("close", (exit, signal) => resolve(exit ?? (signal ? -1 : -2)));
  });
  return { code, out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() };
}
