/** Severity of a log entry, mildest first. Its place in the list is its rank. */
export const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export type Level = (typeof levels)[number];

/**
 * Every spelling of a level that senders use: words of syslog (RFC 5424), Python, Java, Go, .NET and browsers,
 * and their first letters. Numbers are read by `parseLevel`.
 */
const spellings: Readonly<Record<string, Level>> = {
  trace: "trace",
  trc: "trace",
  t: "trace",
  verbose: "trace",
  silly: "trace",
  finest: "trace",
  finer: "trace",
  debug: "debug",
  dbg: "debug",
  d: "debug",
  fine: "debug",
  config: "debug",
  info: "info",
  inf: "info",
  i: "info",
  information: "info",
  informational: "info",
  log: "info",
  http: "info",
  notice: "info",
  success: "info",
  warn: "warn",
  warning: "warn",
  wrn: "warn",
  w: "warn",
  error: "error",
  err: "error",
  e: "error",
  eror: "error",
  severe: "error",
  failure: "error",
  fatal: "fatal",
  ftl: "fatal",
  f: "fatal",
  critical: "fatal",
  crit: "fatal",
  panic: "fatal",
  alert: "fatal",
  emerg: "fatal",
  emergency: "fatal",
};

/**
 * The level meant by a word in any case, or by a number: pino and bunyan (10 to 60), syslog (0 to 7, RFC 5424)
 * when it is below 8. Undefined when it means none.
 */
export function parseLevel(value: string | number): Level | undefined {
  if (typeof value === "string") {
    const word = value.trim().toLowerCase();
    const known = Object.hasOwn(spellings, word) ? spellings[word] : undefined;
    if (known) return known;
    // OpenTelemetry names its sub-levels INFO2, ERROR4 …
    const base = /^(trace|debug|info|warn|error|fatal)[1-4]$/.exec(word);
    if (base) return base[1] as Level;
    return /^\d{1,2}$/.test(word) ? parseLevel(Number(word)) : undefined;
  }
  if (!Number.isInteger(value) || value < 0 || value > 60) return undefined;
  if (value < 8) return (["fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug"] as const)[value];
  if (value < 10) return undefined;
  return levels[Math.min(5, Math.floor(value / 10) - 1)];
}
