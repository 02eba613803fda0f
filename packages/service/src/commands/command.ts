/** A sub-command of `sazabi-service`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` prints below the usage. */
  readonly help: string;
  /** The names of the required arguments, in order. */
  readonly operands: readonly string[];
  /** Options without a value: name and description. */
  readonly flags: Readonly<Record<string, string>>;
  /** Throws an error whose message is one sentence for the operator. */
  run(operands: readonly string[], context: CommandContext): Promise<void>;
}

interface CommandContext {
  readonly flags: ReadonlySet<string>;
  /** Aborted by SIGINT and SIGTERM, which do not end the process: the command removes what it made, and ends. */
  readonly signal: AbortSignal;
}

/** Progress and warnings; standard output holds the result. */
export function onProgress(message: string): void {
  process.stderr.write(`${message}\n`);
}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {}
