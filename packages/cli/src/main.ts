import { fstatSync, statSync, writeSync } from "node:fs";
import type { WriteStream } from "node:tty";
import { configDirectory } from "./config-directory.ts";
import type { Context, Input, Output, PagerProcess } from "./context.ts";
import { systemMessage } from "./os-error-text.ts";
import { run } from "./run.ts";

/** The process: the real world goes in, the exit code comes out. */
export async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  const input = openInput();
  process.once("beforeExit", failUnfinished);
  process.exitCode = await run(argv, realContext(input));
  process.off("beforeExit", failUnfinished);
  // Who pipes something in may never end; the command has.
  input.close();
}

/** Node ends, with 0, when nothing is left that could settle what the command waits for. It is not done. */
function failUnfinished(): never {
  sayAtOnce("The command cannot go on: what it waits for will never come. It is not done. This is a bug in sazabi.");
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
    // What is said there may get lost, but not what it is said of: a key that was just made, a rotation on its way.
    stderr: output(
      2,
      () => process.stderr,
      () => {},
    ),
    get configDirectory() {
      return directory();
    },
    // Until somebody listens Ctrl-C ends the process by itself.
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

/** Node's own module for this takes long to load. */
function homeDirectory(): string {
  const { env, platform } = process;
  return (platform !== "win32" && env.HOME) || process.getBuiltinModule("node:os").homedir();
}

/** Somebody may have to type the keyring's password; a program may not wait that long. */
function keychainTimeoutMs(env: NodeJS.ProcessEnv, patient: boolean): number {
  const seconds = Number(env.SAZABI_KEYCHAIN_TIMEOUT);
  if (seconds > 0) return Math.min(seconds, 600) * 1000;
  return patient ? 60_000 : 3000;
}

/**
 * Written to directly: Node's streams take longer to load than what is written takes to make, and would block as well.
 * They come in where it has to be known whether this is a terminal, and for a pipe that does not block.
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
  // On Windows the streams know how to write to a console.
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

/** Told by what it is, without `node:tty`, which takes long to load. */
function isNoTerminal(descriptor: number): boolean {
  const found = fstatSync(descriptor);
  if (found.isFile() || found.isFIFO() || found.isSocket()) return true;
  return process.platform !== "win32" && found.rdev === statSync("/dev/null").rdev;
}

/** Gives back what a pipe that does not block has no room for. */
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

/** `sazabi logs query | head` closes the pipe when it has seen enough; a full disk is a failure. */
function endOnFailedWrite(error: NodeJS.ErrnoException): never {
  // Of a socket, which a parent process may give as a pipe, the end looks different.
  if (error.code === "EPIPE" || error.code === "ECONNRESET") process.exit(0);
  sayAtOnce(`Cannot write the output (${systemMessage(error)}).`);
  process.exit(1);
}

/** To stderr, before the process ends; where stderr is what failed there is nobody to tell. */
function sayAtOnce(line: string): void {
  try {
    writeSync(2, `error: ${line}\n`);
  } catch {}
}

interface Interrupt {
  readonly signal: AbortSignal;
  /** A pager reads the keyboard: this process must not end before it, or the shell and the pager fight for the keys. */
  leaveTo(pager: PagerProcess): PagerProcess;
}

/** The first Ctrl-C stops the command, which may still say what was done; the second ends the process. */
function openInterrupt(): Interrupt {
  const controller = new AbortController();
  let reading: PagerProcess | undefined;
  process.on("SIGINT", () => {
    const isReading = reading !== undefined && !reading.hasLeft();
    if (controller.signal.aborted && !isReading) process.exit(130);
    controller.abort(new Error("Interrupted."));
    // Whatever does not listen to the signal must not keep the process.
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
