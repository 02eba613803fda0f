import { type ChildProcess, spawn } from "node:child_process";
import { withoutKeys } from "../child-environment.ts";
import type { Output, PagerProcess } from "../context.ts";

/** The user left the pager. */
class ReaderLeft extends Error {}

type Env = Readonly<Record<string, string | undefined>>;

/**
 * Returns the words of the pager command, or undefined for no pager. SAZABI_PAGER precedes PAGER, and `cat` means no
 * pager.
 */
export function pagerCommand(env: Env): readonly string[] | undefined {
  if (env.TERM === "dumb" || env.CI) return undefined;
  const words = splitWords(env.SAZABI_PAGER?.trim() || env.PAGER?.trim() || "less -FRX");
  return words.length === 0 || words[0] === "cat" ? undefined : words;
}

/** Splits a command into words with shell quoting, without a shell. */
function splitWords(text: string): readonly string[] {
  const words = text.match(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g) ?? [];
  return words.map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single));
}

/** The default of LESS: exit if the text fits on the screen, show colours, keep the text on the screen. */
const lessOptions = "FRX";

export function startPager([program = "", ...args]: readonly string[], env: Env): PagerProcess {
  const child = spawn(program, args, {
    env: { ...withoutKeys(env), LESS: env.LESS ?? lessOptions },
    stdio: ["pipe", "inherit", "inherit"],
  });
  const { stdin } = child;
  let hasLeft = false;
  const left = ended(child).then(() => {
    hasLeft = true;
  });
  // Writes fail if the pager exits early.
  stdin?.on("error", () => {});
  return {
    started: new Promise((resolve) => {
      child.once("spawn", () => resolve(true)).once("error", () => resolve(false));
    }),
    left,
    hasLeft: () => hasLeft,
    write: async (text) => {
      if (hasLeft || stdin?.write(text)) return;
      await Promise.race([new Promise((resolve) => stdin?.once("drain", resolve)), left]);
    },
    end: () => void stdin?.end(),
  };
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once("exit", () => resolve()).once("error", () => resolve());
  });
}

/** Writes to the terminal while the output fits on the screen, and to a pager once it does not. */
export class PagedOutput implements Output {
  readonly isTTY = true;
  readonly columns: number | undefined;
  readonly rows: number;
  readonly #terminal: Output;
  readonly #start: () => Promise<PagerProcess>;
  #isTooLong = false;
  #pager: PagerProcess | undefined;
  #held = "";
  #rowsLeft: number;
  /** Serializes the writes, beginning with the buffered text. */
  #writing: Promise<void> = Promise.resolve();

  constructor(terminal: Output, rows: number, start: () => Promise<PagerProcess>) {
    this.#terminal = terminal;
    this.columns = terminal.columns;
    this.rows = rows;
    // The last row is for the shell's prompt.
    this.#rowsLeft = rows - 1;
    this.#start = start;
  }

  /** True while the pager is open. Other output to the terminal would overwrite it. */
  get isOpen(): boolean {
    return this.#pager !== undefined && !this.#pager.hasLeft();
  }

  write(text: string): void {
    if (this.#isTooLong) this.#passOn(text);
    else this.#hold(text);
  }

  async drained(): Promise<void> {
    await this.#writing;
    if (!this.#pager) return this.#terminal.drained();
    if (this.#pager.hasLeft()) throw new ReaderLeft("The reader has left.");
  }

  /** Returns true if the error only means that the user left the pager. */
  isReaderLeft(error: unknown): boolean {
    return error instanceof ReaderLeft;
  }

  /** Resolves when everything is written and the user has left the pager. */
  async close(): Promise<void> {
    if (!this.#isTooLong) return this.#terminal.write(this.#held);
    await this.#writing;
    this.#pager?.end();
    await this.#pager?.left;
  }

  #hold(text: string): void {
    this.#held += text;
    this.#rowsLeft -= rowsOf(text, this.columns ?? Number.POSITIVE_INFINITY);
    if (this.#rowsLeft < 0) this.#openPager();
  }

  #openPager(): void {
    this.#isTooLong = true;
    this.#writing = this.#start().then(async (pager) => {
      // If the pager does not exist, the text goes to the terminal.
      if (await pager.started) this.#pager = pager;
    });
    this.#passOn(this.#held);
    this.#held = "";
  }

  #passOn(text: string): void {
    this.#writing = this.#writing.then(() => (this.#pager ?? this.#terminal).write(text));
  }
}

/**
 * Returns the number of rows on the screen, including wrapped lines. Wide characters are not measured; one row more or
 * less does not matter.
 */
function rowsOf(text: string, columns: number): number {
  const lines = text.replace(/\n$/, "").split("\n");
  return lines.reduce((sum, line) => sum + Math.max(1, Math.ceil(line.length / columns)), 0);
}
