import type { FetchAnswer, FetchInit } from "@sazabi/sdk";
import type { CredentialStore, StoreName } from "./credentials/store.ts";
import type { AnswerHeaders } from "./network-headers.ts";

/** The environment of a command. Slow parts load on first use. */
export interface Context {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Input;
  readonly stdout: Output;
  readonly stderr: Output;
  /** The directory of the settings and of the file credential store. */
  readonly configDirectory: string;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  now(): Date;
  openFetch(options?: NetworkOptions): Promise<Fetch>;
  openStore(name: StoreName, options?: StorePatience): Promise<CredentialStore>;
  openPrompt(): Promise<Prompt>;
  /** Starts a pager. While it runs, it handles Ctrl-C itself. */
  startPager(command: readonly string[]): Promise<PagerProcess>;
}

export interface NetworkOptions {
  /** A file of additional certificate authorities, and the setting that names it. */
  readonly caFile?: { readonly path: string; readonly source: string } | undefined;
  /** Called before each request through a proxy whose settings were only partly understood. */
  readonly warn?: (warning: string) => void;
}

/** A running pager. */
export interface PagerProcess {
  /** Resolves to true when the pager has started, or to false if the program does not exist. */
  readonly started: Promise<boolean>;
  /** Resolves when the pager has exited. */
  readonly left: Promise<void>;
  readonly hasLeft: () => boolean;
  /** Resolves when the pager accepts more input. */
  write(text: string): Promise<void>;
  end(): void;
}

/** The `fetch` that the SDK needs, with all response headers. */
export type Fetch = (url: string, init: FetchInit) => Promise<FetchedAnswer>;

export interface FetchedAnswer extends FetchAnswer {
  readonly headers: AnswerHeaders;
}

interface StorePatience {
  /** Waits for a person to unlock the store. */
  readonly patient?: boolean;
  /** The timeout in any case. */
  readonly withinMs?: number;
}

export interface Input extends AsyncIterable<Uint8Array> {
  readonly isTTY: boolean;
}

export interface Output {
  readonly isTTY: boolean;
  /** The width of the terminal; undefined if it is not a terminal. */
  readonly columns: number | undefined;
  /** The height of the terminal; undefined if it is not a terminal. */
  readonly rows: number | undefined;
  write(text: string): void;
  /** Resolves when the reader has caught up. */
  drained(): Promise<void>;
}

/** Prompts on the terminal. Use it only if stdin and stderr are terminals. */
export interface Prompt {
  /** Reads a line without echo. */
  secret(question: string): Promise<string>;
  confirm(question: string): Promise<boolean>;
  /** Reads a line with echo. */
  line(question: string): Promise<string>;
}
