import { type Level, parseLevel, stripColours } from "./levels.ts";

/** How far into a line a level is searched. Further in, it is likely part of the message. */
const reach = 200;
/** Colours take part of the line, and are removed. */
const colouredReach = 2 * reach;

/**
 * The level that a line of plain text names, or undefined. The first word that stands in the place of a level decides;
 * a word inside double quotes counts only as the value of a key such as `"level"`, and one inside a URL does not count.
 */
export function levelOfLine(line: string): Level | undefined {
  const head = stripColours(line.slice(0, colouredReach)).slice(0, reach);
  for (const [form, levelOf] of prefixForms) {
    const match = form.exec(head);
    if (match) return levelOf(match[1] as string);
  }
  for (const { groups } of head.matchAll(forms)) {
    const word = groups && Object.values(groups).find((group) => group !== undefined);
    const level = word === undefined ? undefined : word === phpParse ? "fatal" : parseLevel(word);
    if (level) return level;
  }
  return undefined;
}

const redisLevels: Readonly<Record<string, Level>> = { ".": "trace", "-": "debug", "*": "info", "#": "warn" };
const androidLevels: Readonly<Record<string, Level>> = { V: "trace", A: "fatal" };
const androidLevel = (letter: string) => androidLevels[letter] ?? parseLevel(letter);

/** Forms whose beginning decides alone. */
const prefixForms: readonly (readonly [form: RegExp, levelOf: (match: string) => Level | undefined])[] = [
  // glog and Kubernetes: I1122 08:30:00.000000
  [/^([IWEF])\d{4} \d{2}:\d{2}:\d{2}/, parseLevel],
  // syslog: <11> is the facility times 8, plus the severity
  [/^<(\d{1,3})>/, (priority) => parseLevel(Number(priority) % 8)],
  // Redis: 1234:M 30 Nov 2026 09:00:00.123 # Warning
  [/^\d+:[A-Z] \d{1,2} [A-Z][a-z]{2} \d{4} [\d:.]+ ([-.*#]) /, (sign) => redisLevels[sign]],
  // Android: 11-30 09:00:00.123  1234  5678 E Tag: text, and E/Tag( 123): text
  [/^(?:\d{4}-)?\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d+\s+\d+\s+\d+ ([VDIWEFA]) \S/, androidLevel],
  [/^([VDIWEFA])\/[^\s(]+\s*\(\s*\d+\): /, androidLevel],
  // MongoDB before 4.4: 2026-11-30T09:00:00.123+0000 I NETWORK  [conn1] text
  [/^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:?\d{2}) ([FEWID]\d?) [A-Z-]+ +\[/, parseLevel],
];

const anyCase =
  "trace|debug|info|notice|warn|warning|error|err|critical|crit|alert|emerg|emergency|fatal|panic|severe|dpanic";
/** The same, and short forms that are words of their own only in capitals. */
const capitals =
  "TRACE|DEBUG[1-5]?|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRITICAL|CRIT|ALERT|EMERG|EMERGENCY|FATAL|PANIC|SEVERE|TRC|DBG|INF|WRN|FTL|VRB|PNC|DPANIC";
/** Words that are hardly ever the beginning of a sentence. */
const plain = "trace|debug|info|notice|warn|warning|error|err|critical|crit|fatal|dpanic";
/** `PHP Parse error` is fatal; the word is a level only there. */
const phpParse = "Parse";

const levelKey = "(?:log[_.]?)?level|lvl|severity|severity_?text|level_?name";

/** Alternatives are tried at each place of the line, so the first place wins. The `i` of some of them is written out. */
const forms = new RegExp(
  [
    // "level": "error"; the other strings in quotes are skipped.
    `"${insensitive(`(?:${levelKey})`)}"\\s*[=:]\\s*"?(?<quotedKey>[\\w.-]+)`,
    `"(?:[^"\\\\]|\\\\.)*"`,
    // The rest of a URL, and parameters of a path without one, are skipped, up to a further key after a comma.
    `(?:://|[?&/][\\w.%[\\]-]+=)(?:[^\\s"',;)>}|]|[,;](?!\\w+[=:]))*`,
    // level=error, severity: "ERROR"
    `\\b${insensitive(`(?:${levelKey})`)}'?\\s*[=:]\\s*["']?(?<key>[A-Za-z]+\\d?)`,
    // [error], <warn>, (INFO), and with a name before it: [core:error]
    `[\\[<(]\\s*(?:[\\w-]+:)?(?<bracketed>${insensitive(`(?:${anyCase})`)}\\d?)\\s*[\\])>]`,
    // production.ERROR: of Monolog and Laravel
    `(?<=^|[\\s\\]])[\\w-]+\\.(?<channel>${capitals}):`,
    // ERROR as a word of its own, in capitals; PostgreSQL's LOG only with a colon
    `(?<=^|[\\s|:\\[,])(?<capital>${capitals})(?=$|[\\s|:\\],])`,
    "(?<=^|\\s)(?<log>LOG):",
    // error as a column of its own: between tabs, or right after the time
    `(?<=\\t)(?<column>${insensitive(`(?:${plain})`)})(?=\\t)`,
    `(?<=\\d:\\d\\d(?:[.,]\\d+)?(?: ?(?:Z|[AP]M|[+-]\\d\\d:?\\d\\d))?\\]?,?\\s{1,3}\\[?)(?<afterTime>${insensitive(`(?:${plain})`)})(?=[\\s:,|\\]])`,
    // error: at the start, after `web-1  | ` of docker compose, and after a colon as in `program: error: …`; of PHP, Swift, Go
    // and compilers also `fatal error:`
    `(?<=^|: |\\| |PHP (?:Recoverable |Catchable )?)(?:[\\w.]*?)(?<colon>${insensitive(`(?:${anyCase}|fail|dbug|trce|verbose|silly)`)}|(?<=PHP )${phpParse}(?= error))(?:\\[\\w+\\]| error)?: `,
  ].join("|"),
  "g",
);

/** `[Ee][Rr]…`: JavaScript before ES2025 has no flags for a part of an expression. */
function insensitive(source: string): string {
  return source.replace(/\\?[a-z]/g, (letter) =>
    letter.startsWith("\\") ? letter : `[${letter.toUpperCase()}${letter}]`,
  );
}
