import { fstatSync, statSync, writeSync } from "node:fs";
import type { WriteStream } from "node:tty";
import { configDirectory } from "./config-directory.ts";
import type { Context, Input, Output, PagerProcess } from "./context.ts";
import { systemMessage } from "./os-error-text.ts";
import { run } from "./run.ts";

/** The entry point: runs the command in the real environment and sets the exit code. */
export async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const input = openInput();
  process.once("beforeExit", failUnfinished);
  process.exitCode = await run(argv, realContext(input));
  process.off("beforeExit", failUnfinished);
  // A program that is piped in may never end, but the command has.
  input.close();
}

/** Reports a command that waits for something that can never settle. Otherwise Node would exit with 0. */
function failUnfinished(): never {
  sayAtOnce("The command did not finish: it waits for an event that cannot occur. This is a bug in sazabi.");
  process.exit(1);
}

function openInput(): Input & { close(): void } {
  let used = false;
  return {
    get isTTY() {
      return process.getBuiltinModule("node:tty").isatty(0);
    },
    [Symbol.asyncIterator]() {
      used = true;
      return process.stdin[Symbol.asyncIterator]();
    },
    close: () => void (used && process.stdin.destroy()),
  };
}

function realContext(stdin: Input): Context {
  const { env, platform } = process;
  const directory = () => configDirectory(env, platform, homeDirectory);
  let interrupt: Interrupt | undefined;
  const listening = () => {
    interrupt ??= openInterrupt();
    return interrupt;
  };
  return {
    env,
    stdin,
    stdout: output(1, () => process.stdout, endOnFailedWrite),
    // Messages to stderr may be lost, but losing them must not interrupt the work they report, such as a rotation.
    stderr: output(
      2,
      () => process.stderr,
      () => {},
    ),
    get configDirectory() {
      return directory();
    },
    // Without a listener, Ctrl-C ends the process.
    get signal() {
      return listening().signal;
    },
    now: () => new Date(),
    openFetch: async (options) => (await import("./network.ts")).openFetch(env, options),
    openStore: async (name, { patient = false, withinMs } = {}) => {
      if (name === "file") return (await import("./credentials/file.ts")).fileStore(directory());
      const { keychainStore } = await import("./credentials/keychain.ts");
      return keychainStore({ env, platform, timeoutMs: withinMs ?? keychainTimeoutMs(env, patient) });
    },
    startPager: async (command) => {
      const { startPager } = await import("./output/pager.ts");
      return listening().leaveTo(startPager(command, env));
    },
    openPrompt: async () => (await import("./prompt.ts")).terminalPrompt(process.stdin, process.stderr),
  };
}

/** Returns the home directory without Node's `os` module, which loads slowly. */
function homeDirectory(): string {
  const { env, platform } = process;
  return (platform !== "win32" && env.HOME) || process.getBuiltinModule("node:os").homedir();
}

/** Returns the keychain timeout. It is longer if a person may have to type the keyring's password. */
function keychainTimeoutMs(env: NodeJS.ProcessEnv, patient: boolean): number {
  const seconds = Number(env.SAZABI_KEYCHAIN_TIMEOUT);
  if (seconds > 0) return Math.min(seconds, 600) * 1000;
  return patient ? 60_000 : 3000;
}

/**
 * Writes synchronously to the descriptor, because Node's streams load slowly and would block as well. Streams are used
 * to query terminal properties and for non-blocking pipes.
 */
function output(
  descriptor: number,
  open: () => WriteStream,
  onFailure: (error: NodeJS.ErrnoException) => void,
): Output {
  let stream: WriteStream | undefined;
  const opened = () => {
    stream ??= open().on("error", onFailure);
    return stream;
  };
  // On Windows, only the streams can write to a console.
  const isDirect = process.platform !== "win32";
  return {
    get isTTY() {
      return !isNoTerminal(descriptor) && (opened().isTTY ?? false);
    },
    get columns() {
      return this.isTTY ? opened().columns : undefined;
    },
    get rows() {
      return this.isTTY ? opened().rows : undefined;
    },
    write: (text) => {
      const rest = isDirect && !stream ? writeNow(descriptor, Buffer.from(text), onFailure) : text;
      if (rest.length > 0) opened().write(rest);
    },
    drained: () =>
      stream?.writableNeedDrain ? new Promise((resolve) => void stream?.once("drain", resolve)) : Promise.resolve(),
  };
}

/** Returns true if the descriptor's file type rules out a terminal. Avoids `node:tty`, which loads slowly. */
function isNoTerminal(descriptor: number): boolean {
  const stats = fstatSync(descriptor);
  if (stats.isFile() || stats.isFIFO() || stats.isSocket()) return true;
  return process.platform !== "win32" && stats.rdev === statSync("/dev/null").rdev;
}

/** Returns the bytes that a non-blocking pipe has no room for. */
function writeNow(descriptor: number, bytes: Buffer, onFailure: (error: NodeJS.ErrnoException) => void): Buffer {
  let written = 0;
  try {
    while (written < bytes.length) written += writeSync(descriptor, bytes, written);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EAGAIN") return bytes.subarray(written);
    onFailure(error as NodeJS.ErrnoException);
  }
  return bytes.subarray(bytes.length);
}

/**
 * Ends the process on a failed write. A closed pipe (`sazabi logs query | head`) is a success; a full disk is a
 * failure.
 */
function endOnFailedWrite(error: NodeJS.ErrnoException): never {
  // A parent process may pass a socket as a pipe, where the error code differs.
  if (error.code === "EPIPE" || error.code === "ECONNRESET") process.exit(0);
  sayAtOnce(`Cannot write the output (${systemMessage(error)}).`);
  process.exit(1);
}

/** Writes to stderr before the process exits. Ignores errors. */
function sayAtOnce(line: string): void {
  try {
    writeSync(2, `error: ${line}\n`);
  } catch {}
}

interface Interrupt {
  readonly signal: AbortSignal;
  /** Keeps the process alive until the pager has exited. Otherwise the shell and the pager compete for the keyboard. */
  leaveTo(pager: PagerProcess): PagerProcess;
}

/** The first Ctrl-C aborts the command, which may still report what was done. The second ends the process. */
function openInterrupt(): Interrupt {
  const controller = new AbortController();
  let reading: PagerProcess | undefined;
  process.on("SIGINT", () => {
    const isReading = reading !== undefined && !reading.hasLeft();
    if (controller.signal.aborted && !isReading) process.exit(130);
    controller.abort(new Error("Interrupted."));
    // Code that ignores the signal must not keep the process alive.
    if (!isReading) setTimeout(() => process.exit(130), 1000).unref();
  });
  return {
    signal: controller.signal,
    leaveTo: (pager) => {
      reading = pager;
      return pager;
    },
  };
}
