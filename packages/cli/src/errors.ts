/** All exit codes. Errors, `sazabi help exit-codes`, docs/cli.md and the tests use this table. */
export const exits = {
  ok: { code: 0, means: "done" },
  failed: {
    code: 1,
    means:
      "failed: the service said no, the output could not be written, lines were not accepted, a rotation is not finished, the record does not hold",
  },
  usage: { code: 2, means: "usage error: unknown command or option, invalid or ambiguous value" },
  notFound: { code: 3, means: "not found" },
  denied: { code: 4, means: "not authenticated, or not allowed; the keychain did not give the key" },
  unreachable: { code: 5, means: "nothing answered at the address, or only that the service is not available" },
  rateLimited: { code: 6, means: "too many requests, and the wait is longer than a command waits by itself" },
  interrupted: { code: 130, means: "interrupted with Ctrl-C" },
} as const;

export type ExitName = keyof typeof exits;

/** An error that ends the command. The message says what is wrong, the hint how to fix it. */
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
