/** A sub-command of `sazabi-service`. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** Printed by `--help` below the usage. */
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
  /** Aborted by SIGINT and SIGTERM, which do not end the process: the command removes what it created, then ends. */
  readonly signal: AbortSignal;
}

/** Prints progress and warnings to stderr; stdout is for the result. */
export function onProgress(message: string): void {
  process.stderr.write(`${message}\n`);
}

/** An invalid command line: exit code 2. */
export class UsageError extends Error {}
