/** The service's own log: one JSON object a line on stdout. Never given a credential or a request's contents. */
type Level = "info" | "warn" | "error";

function write(level: Level, message: string, fields: Readonly<Record<string, unknown>>): void {
  const { error, ...rest } = fields;
  const line = { time: new Date().toISOString(), level, message, ...rest, ...describe(error) };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** PostgreSQL puts row values into `detail` and `where`, so only the message and the stack are taken. */
function describe(error: unknown): object {
  if (error === undefined) return {};
  if (!(error instanceof Error)) return { error: "an error that is not an Error" };
  const code = (error as { code?: unknown }).code;
  return { error: error.message, ...(typeof code === "string" && { code }), stack: error.stack };
}

export const log = {
  info: (message: string, fields = {}) => write("info", message, fields),
  warn: (message: string, fields = {}) => write("warn", message, fields),
  error: (message: string, fields = {}) => write("error", message, fields),
};
