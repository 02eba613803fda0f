import type { FetchAnswer, FetchInit } from "@sazabi/sdk";
import type { CredentialStore, StoreName } from "./credentials/store.ts";
import type { AnswerHeaders } from "./network-headers.ts";

/** Everything of the outside world that a command may touch. Heavy parts load when first asked for. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** Settings, and keys of the file store, are kept here. */
  readonly configDirectory: string;
  /** Aborts when the person presses Ctrl-C. */
  readonly signal: AbortSignal;
  now(): Date;
  openFetch(options?: NetworkOptions): Promise<Fetch>;
  openStore(name: StoreName, options?: StorePatience): Promise<CredentialStore>;
  openPrompt(): Promise<Prompt>;
  /** Starts the pager that these words name. While the person reads in it, Ctrl-C is the pager's. */
  startPager(command: readonly string[]): Promise<PagerProcess>;
}

export interface NetworkOptions {
  /** A file of further certificate authorities, and who named it. */
  readonly caFile?: { readonly path: string; readonly source: string } | undefined;
  /** Called before each request through a proxy whose settings are not understood in full. */
  readonly warn?: (warning: string) => void;
}

/** A program that reads from us what a person reads from it. */
export interface PagerProcess {
  /** Resolves when it runs; false when there is no such program. */
  readonly started: Promise<boolean>;
  /** Resolves when the person has left it. */
  readonly left: Promise<void>;
  readonly hasLeft: () => boolean;
  /** Resolves when it wants more. */
  write(text: string): Promise<void>;
  end(): void;
}

/** What the SDK needs of `fetch`, and every header of the answer. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchedAnswer>;

export interface FetchedAnswer extends FetchAnswer {
  readonly headers: AnswerHeaders;
}

interface StorePatience {
  /** A patient store waits for a person to unlock it. */
  readonly patient?: boolean;
  /** It gives up after this long in any case. */
  readonly withinMs?: number;
}

export interface Input extends AsyncIterable<Uint8Array> {
  readonly isTTY: boolean;
}

export interface Output {
  readonly isTTY: boolean;
  /** Width of the terminal; undefined off a terminal. */
  readonly columns: number | undefined;
  /** Its height; undefined off a terminal. */
  readonly rows: number | undefined;
  write(text: string): void;
  /** Resolves when the reader has caught up. */
  drained(): Promise<void>;
}

/** Asks the person at the terminal. Only used when stdin and stderr are one. */
export interface Prompt {
  /** What is typed does not show. */
  secret(question: string): Promise<string>;
  confirm(question: string): Promise<boolean>;
  /** What is typed, as it is. */
  line(question: string): Promise<string>;
}
