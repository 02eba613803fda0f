import { fieldAliases, intakeLimits, type Level, parseLevel } from "@sazabi/sdk/protocol";

export interface EntryDefaults {
  readonly service: string | undefined;
  readonly level: Level | undefined;
  /** Take the time that a plain line begins with. */
  readonly lineTimes: boolean;
  /** Told each time that was taken. */
  readonly onLineTime?: (time: string) => void;
}

/** One line of input as one line of NDJSON. */
export function entryOf(line: string, defaults: EntryDefaults): string {
  const trimmed = line.trim();
  const object = trimmed.startsWith("{") ? parseObject(trimmed) : undefined;
  return object ? withDefaults(trimmed, object, defaults) : plainEntry(line, defaults);
}

/** Whether the service will cut it. What it counts is the content, without JSON's own characters. */
export function isLongerThanKept(entry: string): boolean {
  const { entryBytes } = intakeLimits;
  return entry.length * 3 > entryBytes && contentBytes(JSON.parse(entry)) > entryBytes;
}

function contentBytes(value: unknown): number {
  if (typeof value !== "object" || value === null) return Buffer.byteLength(String(value));
  return Object.entries(value).reduce((sum, [name, inner]) => sum + Buffer.byteLength(name) + contentBytes(inner), 0);
}

/**
 * The text of a JSON object with what it lacks put in front. The rest stays as it was written: to parse and print it
 * again would round its long numbers.
 */
function withDefaults(text: string, object: object, { service, level }: EntryDefaults): string {
  const lacking = {
    ...(service !== undefined && !names(object, serviceNames) ? { service } : {}),
    ...(level !== undefined && !names(object, levelNames) ? { level } : {}),
  };
  const added = JSON.stringify(lacking).slice(1, -1);
  if (added === "") return text;
  const rest = text.slice(1).trimStart();
  return `{${added}${rest.startsWith("}") ? "" : ","}${rest}`;
}

/** Names under which senders give an entry's service and level, in any capitals. */
const serviceNames = lowerCase([...fieldAliases.service, "serviceName", "app", "application", "SYSLOG_IDENTIFIER"]);
const levelNames = lowerCase([
  ...fieldAliases.level,
  "logLevel",
  "severityText",
  "levelName",
  "@l",
  "priority",
  "syslog.severity",
]);

/** Whether the object, or an object right inside it (`resource`, `attributes`), has a member of one of these names. */
function names(object: object, known: ReadonlySet<string>): boolean {
  return Object.entries(object).some(
    ([name, value]) =>
      known.has(name.toLowerCase()) ||
      (isObject(value) && Object.keys(value).some((inner) => known.has(inner.toLowerCase()))),
  );
}

function lowerCase(words: readonly string[]): ReadonlySet<string> {
  return new Set(words.map((word) => word.toLowerCase()));
}

function parseObject(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function plainEntry(message: string, { service, level, lineTimes, onLineTime }: EntryDefaults): string {
  const timestamp = lineTimes ? leadingTime(message) : undefined;
  if (timestamp !== undefined) onLineTime?.(timestamp);
  return JSON.stringify({
    message,
    level: level ?? guessLevel(message),
    service,
    timestamp,
  });
}

/** How far into a line a level is looked for: further in it is likely part of the message. */
const levelReach = 200;

const levelForms: readonly RegExp[] = [
  // level=error, "severity":"ERROR"
  /\b(?:level|lvl|severity|loglevel)["']?\s*[=:]\s*["']?([a-z]+)/i,
  // [error], <warn>, (INFO)
  /[[<(]\s*(trace|debug|info|notice|warn|warning|error|err|critical|crit|alert|emerg|fatal|panic|severe)\s*[\])>]/i,
  // ERROR as a word of its own, in capitals
  /(?:^|[\s|:])(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRITICAL|CRIT|ALERT|EMERG|EMERGENCY|FATAL|PANIC|SEVERE)(?=$|[\s|:\]])/,
  // error: at the start, or after a colon as in `program: error: …`
  /(?:^|: )(?:[\w.]*)(trace|debug|info|notice|warn|warning|error|critical|fatal|panic|emergency)(?:\[\w+\])?: /i,
];

/** The level that a plain line names; undefined when it names none. */
export function guessLevel(line: string): Level | undefined {
  const head = line.slice(0, levelReach);
  // I1122 08:30:00.000000 of glog and Kubernetes
  const glog = /^([IWEF])\d{4} \d{2}:\d{2}:\d{2}/.exec(head);
  if (glog) return parseLevel(glog[1] as string);
  // <11> of syslog: facility times 8, plus severity
  const syslog = /^<(\d{1,3})>/.exec(head);
  if (syslog) return parseLevel(Number(syslog[1]) % 8);
  for (const form of levelForms) {
    const word = form.exec(head)?.[1];
    const level = word === undefined ? undefined : parseLevel(word);
    if (level) return level;
  }
  return undefined;
}

const isoAtStart = /^\[?(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}:\d{2})(?:[.,](\d{1,9}))?\s?(Z|[+-]\d{2}:?\d{2})?/;

/** The ISO time that a line begins with; local when it names no zone. */
export function leadingTime(line: string): string | undefined {
  const match = isoAtStart.exec(line);
  if (!match) return undefined;
  const [, date, clock, fraction = "0", zone = ""] = match;
  const time = new Date(`${date}T${clock}.${fraction.slice(0, 3)}${zone}`);
  return Number.isNaN(time.getTime()) ? undefined : time.toISOString();
}
