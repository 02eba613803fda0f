/** The service's own log: one JSON object a line on stdout. Never given a credential or a request's contents. */
type Fields = Readonly<Record<string, unknown>>;

const quietMs = 10_000;
/** When each warning was last written, and how often it came since. */
const warnings = new Map<string, { writtenAt: number; unwritten: number }>();

export const log = {
  info: (message: string, fields: Fields = {}) => write("info", message, fields),
  /** Something that passes by itself. The same message is written once in ten seconds, with how often it came. */
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
  /** Written each time: whoever calls it bounds how often. */
  each: (level: "info" | "warn", message: string, fields: Fields = {}) => write(level, message, fields),
  /** Something that somebody has to look at. */
  error: (message: string, fields: Fields = {}) => write("error", message, fields),
};

function write(level: "info" | "warn" | "error", message: string, fields: Fields): void {
  const { error, ...rest } = fields;
  const line = { time: new Date().toISOString(), level, message, ...rest, ...describe(error, level === "error") };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** PostgreSQL puts row values into `detail` and `where`, so only the message and the stack are taken. */
function describe(error: unknown, withStack: boolean): object {
  if (error === undefined) return {};
  if (!(error instanceof Error)) return { error: "an error that is not an Error" };
  const { code, message, stack } = error as Error & { code?: unknown };
  return { error: message, ...(typeof code === "string" && { code }), ...(withStack && { stack }) };
}
