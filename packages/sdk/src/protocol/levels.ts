/** Severity of a log entry, mildest first. Its place in the list is its rank. */
export const levels = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export type Level = (typeof levels)[number];

/**
 * Every spelling of a level that senders use: words of syslog (RFC 5424), Python, Java, Go, .NET, Android and browsers,
 * their short forms, and their first letters.
 */
const spellings: Readonly<Record<Level, string>> = {
  trace: "trace trc trce t verbose vrb v silly finest finer",
  debug: "debug dbg dbug d fine config",
  info: "info inf i information informational log http notice success",
  warn: "warn warning wrn w",
  error: "error err e eror severe fail failure",
  fatal: "fatal ftl f critical crit panic dpanic pnc alert emerg emergency",
};

const levelsBySpelling: ReadonlyMap<string, Level> = new Map(
  levels.flatMap((level) => spellings[level].split(" ").map((word) => [word, level] as const)),
);

/**
 * The level that a word or a number means, or undefined. Words are read in any case, coloured, in brackets, with a colon,
 * and after a name (`[ERROR]`, `error:`, `app.ERROR`).
 */
export function parseLevel(value: string | number): Level | undefined {
  if (typeof value === "number") return levelOfNumber(value);
  const text = value.trim().toLowerCase();
  const known = levelsBySpelling.get(text);
  if (known || text.length > longestLevel) return known;
  if (/^\d{1,5}$/.test(text)) return levelOfNumber(Number(text));
  const [, word = ""] = decorated.exec(stripColours(text)) ?? [];
  const base = levelsBySpelling.get(word);
  if (base) return base;
  // OpenTelemetry numbers its sub-levels INFO2, ERROR4; PostgreSQL DEBUG1 to DEBUG5; Apache trace1 to trace8.
  const numbered = /^(trace|debug|info|warn|error|fatal|d)[1-8]$/.exec(word);
  return numbered ? levelsBySpelling.get(numbered[1] as string) : undefined;
}

/** Longer texts are not levels, and are not searched for one. */
const longestLevel = 64;

const decorated = /^[[<(]?\s*(?:[\w-]+[.:/])?([a-z]+\d?)\s*[\])>]?:?$/;

/** Escape sequences of terminals: `ESC[31m`. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: ESC is what they begin with.
const colours = /\u001b\[[\d;:]*[A-Za-z]/g;

/** The text without the colours of a terminal. */
export function stripColours(text: string): string {
  return text.includes("\u001b") ? text.replace(colours, "") : text;
}

const syslogLevels = ["fatal", "fatal", "fatal", "error", "warn", "info", "info", "debug"] as const;

/** Numbers of Monolog, which are in hundreds. */
const monologLevels: Readonly<Record<number, Level>> = {
  100: "debug",
  200: "info",
  250: "info",
  300: "warn",
  400: "error",
  500: "fatal",
  550: "fatal",
  600: "fatal",
};

/**
 * The scale is told by the size: syslog (0 to 7, RFC 5424), pino and bunyan (10 to 60), Monolog (100 to 600), Log4j and
 * Logback (5,000 to 50,000).
 */
function levelOfNumber(value: number): Level | undefined {
  if (!Number.isInteger(value) || value < 0) return undefined;
  if (value < 8) return syslogLevels[value];
  if (value < 10) return undefined;
  if (value <= 60) return levels[Math.min(5, Math.floor(value / 10) - 1)];
  if (value <= 600) return monologLevels[value];
  if (value === 5_000) return "trace";
  return value % 10_000 === 0 && value <= 50_000 ? levels[value / 10_000] : undefined;
}

/** The level of a severity number of OpenTelemetry, 1 to 24. */
export function levelOfSeverityNumber(value: string | number): Level | undefined {
  const number = typeof value === "number" ? value : /^\d{1,2}$/.test(value.trim()) ? Number(value) : Number.NaN;
  return Number.isInteger(number) && number >= 1 && number <= 24 ? levels[Math.floor((number - 1) / 4)] : undefined;
}
