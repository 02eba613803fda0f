import { writeSync } from "node:fs";
import { homedir } from "node:os";
import { isatty, type WriteStream } from "node:tty";
import { getSystemErrorMap } from "node:util";
import { configDirectory } from "./config-directory.ts";
import type { Context, Input, Output } from "./context.ts";
import type { PagerProcess } from "./output/pager.ts";
import { version } from "./version.ts";

/** The process: the real world goes in, the exit code comes out. */
export async function main(): Promise<void> {
  const argv = process.argv.slice(2);
  endWhenOutputFails();
  if (argv.length === 1 && ["--version", "-v", "-V"].includes(argv[0] as string)) {
    process.stdout.write(`sazabi ${version}\n`);
    return;
  }
  const { run } = await import("./run.ts");
  const input = openInput();
  process.exitCode = await run(argv, realContext(input, openInterrupt()));
  // Who pipes something in may never end; the command has.
  input.close();
}

function openInput(): Input & { close(): void } {
  let used = false;
  return {
    isTTY: isatty(0),
    [Symbol.asyncIterator]() {
      used = true;
      return process.stdin[Symbol.asyncIterator]();
    },
    close: () => void (used && process.stdin.destroy()),
  };
}

function realContext(stdin: Input, interrupt: Interrupt): Context {
  const { env, platform, stdout, stderr } = process;
  const directory = configDirectory(env, platform, homedir());
  return {
    env,
    stdin,
    stdout: output(stdout),
    stderr: output(stderr),
    configDirectory: directory,
    signal: interrupt.signal,
    now: () => new Date(),
    openFetch: async () => (await import("./network.ts")).openFetch(env),
    openStore: async (name, { patient = false } = {}) => {
      if (name === "file") return (await import("./credentials/file.ts")).fileStore(directory);
      const { keychainStore } = await import("./credentials/keychain.ts");
      return keychainStore({ env, platform, timeoutMs: keychainTimeoutMs(env, patient) });
    },
    startPager: async (command) => {
      const { startPager } = await import("./output/pager.ts");
      return interrupt.leaveTo(startPager(command, env));
    },
    openPrompt: async () => (await import("./prompt.ts")).terminalPrompt(process.stdin, stderr),
  };
}

/** Somebody may have to type the keyring's password; a program may not wait that long. */
function keychainTimeoutMs(env: NodeJS.ProcessEnv, patient: boolean): number {
  const seconds = Number(env.SAZABI_KEYCHAIN_TIMEOUT);
  if (seconds > 0) return Math.min(seconds, 600) * 1000;
  return patient ? 60_000 : 3000;
}

function output(stream: WriteStream): Output {
  return {
    isTTY: stream.isTTY ?? false,
    columns: stream.isTTY ? stream.columns : undefined,
    rows: stream.isTTY ? stream.rows : undefined,
    write: (text) => void stream.write(text),
    drained: () =>
      stream.writableNeedDrain ? new Promise((resolve) => void stream.once("drain", resolve)) : Promise.resolve(),
  };
}

/** `sazabi logs query | head` closes the pipe when it has seen enough; a full disk is a failure. */
function endWhenOutputFails(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE") process.exit(0);
      sayAtOnce(`Cannot write the output (${systemMessage(error)}).`);
      process.exit(1);
    });
  }
}

/** To stderr, before the process ends; where stderr is what failed there is nobody to tell. */
function sayAtOnce(line: string): void {
  try {
    writeSync(2, `error: ${line}\n`);
  } catch {}
}

function systemMessage({ errno, code, message }: NodeJS.ErrnoException): string {
  const [, words] = (errno !== undefined && getSystemErrorMap().get(errno)) || [];
  return words ?? code ?? message;
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
