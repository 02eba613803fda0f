/** The log of the service: one JSON object per line on stdout. Never contains credentials or request contents. */
type Fields = Readonly<Record<string, unknown>>;

const quietMs = 10_000;
/** When each warning was last written, and how often it occurred since. */
const warnings = new Map<string, { writtenAt: number; unwritten: number }>();

export const log = {
  info: (message: string, fields: Fields = {}) => write("info", message, fields),
  /**
   * Logs a temporary problem. The same message is written at most once in ten seconds, with the number
   * of occurrences.
   */
  warn(message: string, fields: Fields = {}): void {
    const now = performance.now();
    const before = warnings.get(message);
    if (before && now - before.writtenAt < quietMs) {
      before.unwritten += 1;
      return;
    }
    warnings.set(message, { writtenAt: now, unwritten: 0 });
    write("warn", message, { ...fields, ...(before?.unwritten && { repeated: before.unwritten }) });
  },
  /** Writes every message: the caller limits the rate. */
  each: (level: "info" | "warn", message: string, fields: Fields = {}) => write(level, message, fields),
  /** Logs a problem that needs attention. */
  error: (message: string, fields: Fields = {}) => write("error", message, fields),
};

function write(level: "info" | "warn" | "error", message: string, fields: Fields): void {
  const { error, ...rest } = fields;
  const line = { time: new Date().toISOString(), level, message, ...rest, ...describe(error, level === "error") };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** PostgreSQL puts row values into `detail` and `where`, so only the message and the stack are logged. */
function describe(error: unknown, withStack: boolean): object {
  if (error === undefined) return {};
  if (!(error instanceof Error)) return { error: "an error that is not an Error" };
  const { code, message, stack } = error as Error & { code?: unknown };
  return { error: message, ...(typeof code === "string" && { code }), ...(withStack && { stack }) };
}
