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
  run(operands: readonly string[], flags: ReadonlySet<string>): Promise<void>;
}

/** The command line itself is wrong: exit code 2. */
export class UsageError extends Error {}
