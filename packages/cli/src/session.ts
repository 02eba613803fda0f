import {
  defaultBaseUrl,
  type FetchInit,
  inspectKey,
  keyFaults,
  mayBeImportedKey,
  readBaseUrl,
  type SazabiAdmin,
} from "@sazabi/sdk";
import { noHome } from "./config-directory.ts";
import type { Context, Fetch, FetchedAnswer } from "./context.ts";
import { accountOf, CredentialStoreError, type StoreName } from "./credentials/store.ts";
import { CliError, usageError } from "./errors.ts";
import { readAll } from "./input.ts";
import type { Palette } from "./output/colour.ts";
import type { FieldSelection } from "./output/fields.ts";
import { maskImported, maskKeys } from "./output/mask.ts";
import type { PagedOutput } from "./output/pager.ts";
import type { Column } from "./output/table.ts";
import { safeJson, visible } from "./output/visible.ts";
import {
  BrokenSettings,
  checkProfileName,
  defaultProfile,
  findProfile,
  type Profile,
  readSettings,
  type Settings,
} from "./settings.ts";

/** Options of every command. */
export interface GlobalFlags {
  readonly json?: boolean;
  /** This and the next two are for commands that print rows. */
  readonly ndjson?: boolean;
  readonly csv?: boolean;
  readonly fields?: FieldSelection;
  /** False with `--no-pager`. */
  readonly pager?: boolean;
  readonly quiet?: boolean;
  readonly profile?: string;
  readonly apiUrl?: string;
  readonly keyStdin?: boolean;
  /** False with `--no-input`. */
  readonly input?: boolean;
  /** False with `--no-color`. */
  readonly color?: "always" | "never" | "auto" | false;
  readonly caFile?: string;
  readonly timeout?: number;
}

const formats = ["json", "ndjson", "csv"] as const;

type Format = (typeof formats)[number] | "text";

/** A setting and its source, which errors name. */
export interface Sourced<T> {
  readonly value: T;
  readonly source: string;
}

export interface Credential extends Sourced<string> {
  readonly masked: string;
  readonly store?: StoreName;
}

type MaybeSet = () => Sourced<string | undefined>;

/** One run of one command: its environment, its global flags, and what depends on them. */
export class Session {
  readonly context: Context;
  readonly flags: GlobalFlags;
  #settings: Settings | undefined;
  #clockOffsetMs = 0;
  readonly #warnings = new Set<string>();
  #palettes: { out: Palette; err: Palette } | undefined;
  /** Receives the result while it may need a pager. */
  #paged: PagedOutput | undefined;
  /** Messages to print after the pager has exited. */
  readonly #heldBack: string[] = [];
  /** The key in use, for error messages. */
  credential: Credential | undefined;
  /** How many requests with it the service has counted as uses. */
  usesOfCredential = 0;
  /** The project that requests name, for error messages. */
  projectInUse: Sourced<string> | undefined;

  constructor(context: Context, flags: GlobalFlags) {
    this.context = context;
    this.flags = flags;
  }

  // --- Output: results go to stdout, messages to stderr.

  /** Prints a line of the result. */
  out(line: string): void {
    this.write(`${line}\n`);
  }

  /** Prints a part of the result, which includes its line ends. */
  write(text: string): void {
    (this.#paged ?? this.context.stdout).write(text);
  }

  /** Resolves when the reader of the result has caught up. */
  drained(): Promise<void> {
    return (this.#paged ?? this.context.stdout).drained();
  }

  /** Prints a message to stderr, unless `--quiet` is set. */
  say(line: string): void {
    if (this.flags.quiet) return;
    if (this.#paged) this.#heldBack.push(line);
    else this.context.stderr.write(`${maskKeys(line)}\n`);
  }

  #warnOnce(line: string): void {
    if (!this.#warnings.has(line)) this.say(line);
    this.#warnings.add(line);
  }

  /** Prints a message to stderr that a program reading the result does not need. */
  remark(line: string): void {
    if (this.format === "text") this.say(line);
  }

  get format(): Format {
    return formats.find((name) => this.flags[name]) ?? "text";
  }

  checkFormat(): void {
    const [one, other] = formats.filter((name) => this.flags[name]);
    if (other) throw usageError(`--${one} and --${other} exclude each other.`);
  }

  /** True if progress is shown: a person waits at a terminal. */
  get showsProgress(): boolean {
    const { stderr, env } = this.context;
    return stderr.isTTY && this.format === "text" && !this.flags.quiet && !env.CI && env.TERM !== "dumb";
  }

  /** Prints the result as JSON if requested, otherwise with `text`. */
  async result(value: unknown, text: () => void | Promise<void>): Promise<void> {
    if (this.flags.json) this.out(safeJson(value, 2));
    else await text();
  }

  /** Prints a list: `{ items, nextCursor }` as JSON, or its rows. */
  async list<T>(
    page: { readonly items: readonly T[]; readonly nextCursor: string | null; readonly more?: boolean },
    columns: readonly Column<T>[],
    empty: string,
  ): Promise<void> {
    await this.rows(page.items, columns, empty, (items) => ({ ...page, items }));
    if (page.nextCursor !== null) {
      this.say(`${page.items.length} shown, there are more: raise --limit, or go on with --cursor ${page.nextCursor}`);
    }
  }

  /**
   * Prints rows as JSON (of `whole`), NDJSON, CSV or a table. Without any row in a table, prints the message `empty`.
   */
  async rows<T>(
    rows: readonly T[],
    columns: readonly Column<T>[],
    empty: string,
    whole: (rows: readonly unknown[]) => unknown,
  ): Promise<void> {
    const { format } = this;
    const { all, chosen } = this.flags.fields ?? { all: [] };
    const { columnsOf, pick } = await import("./output/fields.ts");
    const shown = () => (chosen ? rows.map((row) => pick(row, chosen)) : rows);
    await this.paged(async () => {
      if (format === "json") this.out(safeJson(whole(shown()), 2));
      else if (format === "ndjson") for (const row of shown()) this.out(safeJson(row));
      else if (format === "csv") await this.#csv(rows, chosen ?? all);
      else await this.table(rows, chosen ? columnsOf(chosen) : columns, empty);
    });
  }

  async #csv(rows: readonly unknown[], names: readonly string[]): Promise<void> {
    const { csvLine, csvRow } = await import("./output/csv.ts");
    this.write(csvLine(names));
    for (const row of rows) this.write(csvRow(row, names));
  }

  async table<T>(rows: readonly T[], columns: readonly Column<T>[], empty: string): Promise<void> {
    if (rows.length === 0) return this.say(empty);
    const { renderTable } = await import("./output/table.ts");
    const { out } = await this.palettes();
    const width = this.context.stdout.isTTY ? this.context.stdout.columns : undefined;
    const { lines, dropped } = renderTable(columns, rows, { width, palette: out });
    for (const line of lines) this.out(line);
    if (dropped.length > 0) this.say(`Left out to fit the terminal: ${dropped.join(", ")}.`);
  }

  /**
   * Runs `print`. At a terminal, its output goes through a pager if it is longer than the screen, and messages are
   * printed after the pager has exited. If the user leaves the pager early, `print` is stopped.
   */
  async paged(print: () => Promise<void>): Promise<void> {
    this.#paged = await this.#openPaged();
    try {
      await print();
    } catch (error) {
      if (!this.#paged?.isReaderLeft(error)) throw error;
    } finally {
      await this.#paged?.close();
      this.#paged = undefined;
      for (const line of this.#heldBack.splice(0)) this.say(line);
    }
  }

  async #openPaged(): Promise<PagedOutput | undefined> {
    const { stdout, env } = this.context;
    if (this.flags.pager === false || !stdout.isTTY || stdout.rows === undefined) return undefined;
    const { PagedOutput, pagerCommand } = await import("./output/pager.ts");
    const command = pagerCommand(env);
    return command && new PagedOutput(stdout, stdout.rows, () => this.context.startPager(command));
  }

  async palettes(): Promise<{ readonly out: Palette; readonly err: Palette }> {
    const { openPalette, resolveColour } = await import("./output/colour.ts");
    const { env, stdout, stderr } = this.context;
    const flag = this.flags.color === false ? "never" : this.flags.color;
    this.#palettes ??= {
      out: await openPalette(this.format === "text" && resolveColour(flag, env, stdout.isTTY)),
      err: await openPalette(!this.flags.json && !this.flags.ndjson && resolveColour(flag, env, stderr.isTTY)),
    };
    return this.#palettes;
  }

  /** True if the user can be prompted. */
  get interactive(): boolean {
    return this.flags.input !== false && this.context.stdin.isTTY && this.context.stderr.isTTY;
  }

  /**
   * Returns true if the user must confirm. Throws if only one of stdin and stderr is a terminal. Without a terminal no
   * confirmation is needed.
   */
  asksForLeave(yes: boolean | undefined): boolean {
    if (yes || this.flags.input === false) return false;
    const { stdin, stderr } = this.context;
    if (stdin.isTTY !== stderr.isTTY) {
      throw usageError(
        "This command asks for confirmation, but stdin or stderr is not a terminal.",
        "Repeat it with --yes.",
      );
    }
    return stdin.isTTY;
  }

  // --- Settings: flag, then environment, then profile.

  get settings(): Settings {
    this.#settings ??= this.#readSettings();
    return this.#settings;
  }

  /** For a command that replaces the settings: invalid settings count as empty. */
  ignoreBrokenSettings(): void {
    try {
      this.settings;
    } catch (error) {
      if (!(error instanceof BrokenSettings)) throw error;
      this.#settings = {};
    }
  }

  #readSettings(): Settings {
    try {
      return readSettings(this.context.configDirectory);
    } catch (error) {
      // Without a home directory there are no settings.
      if (error instanceof CliError && error.code === noHome) return {};
      throw error;
    }
  }

  get profileName(): Sourced<string> {
    const checked = (name: string) => checkProfileName(name, () => findProfile(this.settings, name) !== undefined);
    if (this.flags.profile) return { value: checked(this.flags.profile), source: "--profile" };
    const fromEnv = this.#env("SAZABI_PROFILE");
    if (fromEnv) return { value: checked(fromEnv), source: "SAZABI_PROFILE" };
    return { value: this.settings.activeProfile ?? defaultProfile, source: "settings" };
  }

  get profile(): Profile {
    return findProfile(this.settings, this.profileName.value) ?? {};
  }

  get apiUrl(): Sourced<string> {
    const configured = this.#firstOf([
      () => ({ value: this.flags.apiUrl, source: "--api-url" }),
      ...this.#inOrder("SAZABI_API_URL", () => this.#ofProfile("apiUrl")),
    ]);
    return configured
      ? { ...configured, value: checkAddress(configured.value, configured.source) }
      : { value: defaultBaseUrl, source: "default" };
  }

  /** Orders the sources. The environment precedes the profile, unless `--profile` names it. */
  #inOrder(variable: string, ofProfile: MaybeSet): readonly MaybeSet[] {
    const ofEnvironment = () => ({ value: this.#env(variable), source: variable });
    return this.flags.profile ? [ofProfile, ofEnvironment] : [ofEnvironment, ofProfile];
  }

  #ofProfile(name: "apiUrl" | "projectId"): Sourced<string | undefined> {
    return { value: this.profile[name], source: `profile ${this.profileName.value}` };
  }

  /**
   * Returns the first value that is set. Later sources are not read, so unreadable settings only stop commands that
   * need them.
   */
  #firstOf(places: readonly MaybeSet[]): Sourced<string> | undefined {
    for (const place of places) {
      const { value, source } = place();
      if (value) return { value, source };
    }
    return undefined;
  }

  get #caFile(): { readonly path: string; readonly source: string } | undefined {
    const { caFile } = this.flags;
    const path = caFile ?? this.#env("SAZABI_CA_FILE");
    return path ? { path, source: caFile ? "--ca-file" : "SAZABI_CA_FILE" } : undefined;
  }

  /** Returns the project set by flag, environment or profile: an id or a name; see `findProjectId`. */
  project(flag: string | undefined): Sourced<string> | undefined {
    return this.#firstOf([
      () => ({ value: flag, source: "--project" }),
      ...this.#inOrder("SAZABI_PROJECT_ID", () => this.#projectOfProfile()),
    ]);
  }

  /** Returns the profile's project, which is optional. */
  #projectOfProfile(): Sourced<string | undefined> {
    try {
      return this.#ofProfile("projectId");
    } catch (error) {
      if (this.flags.profile || !(error instanceof CliError)) throw error;
      this.#warnOnce(`${error.message} Continuing without them.`);
      return { value: undefined, source: "settings" };
    }
  }

  // --- The key: `--key-stdin` or `--profile`, then environment, then profile.

  async admin(): Promise<SazabiAdmin> {
    return this.openAdmin(await this.requireCredential());
  }

  /** Returns a client that uses this key. Later errors name the key. */
  async openAdmin(credential: Credential): Promise<SazabiAdmin> {
    const { SazabiAdmin } = await import("@sazabi/sdk");
    this.credential = credential;
    return new SazabiAdmin({
      secretKey: credential.value,
      clientSource: "cli",
      ...(await this.connection()),
    });
  }

  async connection() {
    return {
      baseUrl: this.apiUrl.value,
      fetch: await this.openFetch(),
      timeoutMs: this.flags.timeout === undefined ? undefined : this.flags.timeout * 1000,
      onWait: ({ status, seconds }: { status: number; seconds: number }) =>
        this.remark(`The service is ${status === 429 ? "limiting requests" : "not available"}; waiting ${seconds} s.`),
    };
  }

  /** Returns a `fetch` that shows a spinner during slow requests. */
  async openFetch({ spins = this.showsProgress } = {}): Promise<Fetch> {
    const open = await this.context.openFetch({ caFile: this.#caFile, warn: (line) => this.#warnOnce(line) });
    const fetch: Fetch = async (url, init) => {
      const answer = await open(url, init);
      this.#noteUse(init, answer);
      this.#noteClock(answer);
      return answer;
    };
    if (!spins) return fetch;
    return async (url, init) => {
      const { spinWhile } = await import("./output/spinner.ts");
      return this.#paged?.isOpen ? fetch(url, init) : spinWhile(this.context.stderr, fetch(url, init));
    };
  }

  /** Counts a request as a use of the key, unless it failed. */
  #noteUse({ headers }: FetchInit, { status }: FetchedAnswer): void {
    const isCounted = status < 500 && headers["authorization"] === `Bearer ${this.credential?.value}`;
    if (isCounted) this.usesOfCredential += 1;
  }

  /** Records the service's clock. A `Date` header has whole seconds, so smaller differences are ignored. */
  #noteClock({ headers }: FetchedAnswer): void {
    const apartMs = Date.parse(headers.get("date") ?? "") - this.context.now().getTime();
    this.#clockOffsetMs = Math.abs(apartMs) > 2_000 ? apartMs : 0;
  }

  /** The current time by the service's clock, which decides when keys expire. Estimated from the last response. */
  get serviceNow(): Date {
    return new Date(this.context.now().getTime() + this.#clockOffsetMs);
  }

  async requireCredential(): Promise<Credential> {
    const credential = await this.findCredential();
    if (!credential) throw this.#notLoggedIn();
    return checkSecretKey(credential);
  }

  async findCredential(): Promise<Credential | undefined> {
    if (this.flags.keyStdin) return sourced(await this.readKeyFromStdin("--key-stdin"), "--key-stdin");
    if (!this.flags.profile) {
      for (const name of ["SAZABI_SECRET_KEY", "SAZABI_TOKEN"]) {
        const value = this.#env(name);
        if (value) return sourced(value, name);
      }
    }
    return this.#findStoredCredential();
  }

  async #findStoredCredential(): Promise<Credential | undefined> {
    const { login } = this.profile;
    if (!login || login.apiUrl !== this.apiUrl.value) return undefined;
    const store = await this.context.openStore(login.store);
    const { value: name } = this.profileName;
    const key = await askStore(() => store.get(accountOf(name, login.apiUrl)));
    return key === undefined ? undefined : { ...sourced(key, `profile ${name}`), store: login.store };
  }

  #notLoggedIn(): CliError {
    const { value: profile } = this.profileName;
    const { login } = this.profile;
    const hint = "Run `sazabi auth login`, or set SAZABI_SECRET_KEY.";
    const options = { code: "NOT_LOGGED_IN", exit: "denied", hint } as const;
    const known = Object.keys(this.settings.profiles ?? {});
    if (profile !== defaultProfile && !known.includes(profile)) {
      const others = known.length > 0 ? `There are: ${known.join(", ")}. ` : "";
      const login = `\`sazabi auth login --profile ${profile}\` makes it.`;
      return new CliError(`There is no profile ${profile}.`, { ...options, hint: `${others}${login}` });
    }
    if (login && login.apiUrl !== this.apiUrl.value) {
      const { value, source } = this.apiUrl;
      const elsewhere = `its key is for ${login.apiUrl}, and the address in use is ${value} (${source})`;
      return new CliError(`Profile ${profile} is not logged in there: ${elsewhere}.`, options);
    }
    if (login) return new CliError(`The key of profile ${profile} is gone from its store (${login.store}).`, options);
    return new CliError(`Not logged in (profile ${profile}).`, options);
  }

  async readKeyFromStdin(option: string): Promise<string> {
    if (this.context.stdin.isTTY) {
      if (!this.interactive) throw usageError(`${option} reads the key from stdin, and stdin is a terminal.`);
      const prompt = await this.context.openPrompt();
      return (await prompt.secret("Secret key: ")).trim();
    }
    const key = (await readAll(this.context.stdin, maxKeyInputBytes, option)).trim();
    if (key === "") throw usageError(`${option} reads the key from stdin, but stdin was empty.`);
    return key;
  }

  /** Empty variables are treated as unset. */
  #env(name: string): string | undefined {
    return this.context.env[name]?.trim() || undefined;
  }
}

const maxKeyInputBytes = 4096;

/** Returns a key with its masked form and its source. */
export function sourced(key: string, source: string): Credential {
  maskImported(key);
  return { value: key, source, masked: inspectKey(key).masked };
}

/** Throws before any request if the text is not a secret key. */
export function checkSecretKey(credential: Credential): Credential {
  const inspection = inspectKey(credential.value);
  const from = `${visible(inspection.masked)} (${credential.source})`;
  // An imported key can have any format, so the service validates it.
  if (!inspection.valid && mayBeImportedKey(credential.value)) return credential;
  if (!inspection.valid) {
    throw new CliError(`The key ${from} is not a valid key: ${keyFaults[inspection.fault]}.`, {
      code: "MALFORMED_KEY",
      exit: "denied",
      hint: "Copy the whole key again. `sazabi keys inspect` checks a key offline.",
    });
  }
  if (inspection.kind !== "secret") {
    throw new CliError(
      `The key ${from} is a public key, which can only send logs. This needs a secret key (sk_live_…).`,
      {
        code: "WRONG_KEY_TYPE",
        exit: "denied",
      },
    );
  }
  return credential;
}

function checkAddress(value: string, source: string): string {
  try {
    return readBaseUrl(value);
  } catch (error) {
    throw usageError(`Invalid ${source} ${JSON.stringify(value)}. ${(error as Error).message}`);
  }
}

/** Runs an operation of a credential store. On failure, the error lists other ways to provide a key. */
export async function askStore<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!(error instanceof CredentialStoreError)) throw error;
    throw new CliError(error.message, {
      code: `KEYCHAIN_${error.fault.toUpperCase()}`,
      exit: "denied",
      hint: waysOut[error.fault],
      cause: error,
    });
  }
}

const otherWays =
  "set SAZABI_SECRET_KEY for this shell, or log in with `--store file` to keep the key in a file that only you can read (plain text)";

const waysOut = {
  locked: `Nothing was stored or sent. Unlock your keyring and try again, ${otherWays}.`,
  unavailable: `Nothing was stored or sent. Start a keyring (on Linux: a session with D-Bus and gnome-keyring or KWallet) and try again, ${otherWays}.`,
  timeout: `Nothing was stored or sent. It may be waiting for its password: unlock it and try again (SAZABI_KEYCHAIN_TIMEOUT gives it more seconds), ${otherWays}.`,
};
