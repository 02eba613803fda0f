/** Every exit code there is. The pages of docs/cli.md and the tests go by this table. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  /** Not authenticated, or not allowed. */
  denied: 4,
  /** Nothing answered at the address. */
  unreachable: 1,
  rateLimited: 6,
  interrupted: 130,
} as const;

export type ExitName = keyof typeof exitCodes;

/** A command cannot go on. The message says what is wrong, the hint what to do about it. */
export class CliError extends Error {
  override readonly name = "CliError";
  /** For programs, in the JSON form of the error. */
  readonly code: string;
  readonly exit: ExitName;
  readonly hint: string | undefined;

  constructor(
    message: string,
    options: {
      readonly code?: string;
      readonly exit?: ExitName;
      readonly hint?: string | undefined;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, { cause: options.cause });
    this.exit = options.exit ?? "failed";
    this.code = options.code ?? (this.exit === "usage" ? "USAGE" : "FAILED");
    this.hint = options.hint;
  }
}

export function usageError(message: string, hint?: string): CliError {
  return new CliError(message, { exit: "usage", hint });
}
