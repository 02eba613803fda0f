import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import type { Context, Input, PagerProcess, Prompt } from "../../src/context.ts";
import { fileStore } from "../../src/credentials/file.ts";
import { type CredentialStore, CredentialStoreError, type StoreFault } from "../../src/credentials/store.ts";
import { openFetch } from "../../src/network.ts";
import { run } from "../../src/run.ts";

export interface TerminalOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** What comes in on stdin. Without it stdin is empty. */
  readonly stdin?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** A person sits there: stdin, stdout and stderr are a terminal, of this width. */
  readonly columns?: number;
  /** Of this height: what is longer goes through `pager`. */
  readonly rows?: number;
  readonly pager?: (command: readonly string[]) => PagerProcess;
  /** What the person types, question by question. */
  readonly typed?: readonly string[];
  /** The questions that were asked are added to it. */
  readonly questions?: string[];
  readonly keychain?: CredentialStore;
  readonly now?: Date;
  readonly signal?: AbortSignal;
  readonly configDirectory?: string;
}

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs command lines in a world of their own: settings in a directory that goes with the test, a keychain in memory. */
export function terminal(options: TerminalOptions = {}) {
  const configDirectory = options.configDirectory ?? scratchDirectory();
  const keychain = options.keychain ?? memoryKeychain();
  return {
    configDirectory,
    keychain,
    async run(argv: readonly string[], more: TerminalOptions = {}): Promise<Run> {
      const all = { ...options, ...more, env: { ...options.env, ...more.env } };
      const out: string[] = [];
      const err: string[] = [];
      const code = await run(argv, contextOf(all, configDirectory, all.keychain ?? keychain, out, err));
      return { code, out: out.join(""), err: err.join("") };
    },
  };
}

function contextOf(
  options: TerminalOptions,
  configDirectory: string,
  keychain: CredentialStore,
  out: string[],
  err: string[],
): Context {
  const isTTY = options.columns !== undefined;
  const output = (lines: string[]) => ({
    isTTY,
    columns: options.columns,
    rows: options.rows,
    write: (text: string) => void lines.push(text),
    drained: async () => {},
  });
  return {
    env: options.env ?? {},
    stdin: inputOf(options.stdin, isTTY),
    stdout: output(out),
    stderr: output(err),
    configDirectory,
    signal: options.signal ?? new AbortController().signal,
    now: () => options.now ?? new Date(),
    openFetch: (network) => openFetch(options.env ?? {}, network),
    openStore: async (name) => (name === "file" ? fileStore(configDirectory) : keychain),
    startPager: async (command) => options.pager?.(command) ?? expect.unreachable("Nobody wants a pager."),
    openPrompt: async () => scriptedPrompt(options.typed ?? [], err, options.questions),
  };
}

function inputOf(stdin: TerminalOptions["stdin"], isTTY: boolean): Input {
  const chunks = typeof stdin === "string" || stdin instanceof Uint8Array ? [Buffer.from(stdin)] : (stdin ?? []);
  return {
    isTTY: isTTY && stdin === undefined,
    async *[Symbol.asyncIterator]() {
      yield* chunks;
    },
  };
}

function scriptedPrompt(typed: readonly string[], err: string[], questions: string[] = []): Prompt {
  const rest = [...typed];
  const answer = (question: string) => {
    questions.push(question);
    err.push(`${question}\n`);
    const next = rest.shift();
    if (next === undefined) throw new Error(`Nobody answers: ${question}`);
    return next;
  };
  return {
    secret: async (question) => answer(question),
    confirm: async (question) => answer(question) === "y",
    line: async (question) => answer(question),
  };
}

export function memoryKeychain(): CredentialStore & { readonly keys: Map<string, string> } {
  const keys = new Map<string, string>();
  return {
    name: "keychain",
    description: "a keychain in memory",
    keys,
    get: async (account) => keys.get(account),
    set: async (account, key) => void keys.set(account, key),
    delete: async (account) => keys.delete(account),
  };
}

/** A keychain that answers every call in this way. */
export function brokenKeychain(fault: StoreFault): CredentialStore {
  const fail = () => Promise.reject(new CredentialStoreError(fault, `The OS keychain is ${fault}.`));
  return { name: "keychain", description: "a broken keychain", get: fail, set: fail, delete: fail };
}

export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "sazabi-cli-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
