import { type DefaultZone, parseLevel, parseTimestamp, stripColours, zoneForm } from "@sazabi/sdk/protocol";

/** How far into a line a time is searched, in characters. */
const reach = 300;

/**
 * Returns the time at the beginning of a plain text line, in microseconds since 1970, or undefined. A time without a
 * zone is local. A time without a year is the latest one that is at most one day after `now`.
 */
export function leadingTime(line: string, now: Date): number | undefined {
  const head = withoutPrefix(stripColours(line.slice(0, 2 * reach)).slice(0, reach));
  for (const [form, read] of forms) {
    const match = form.exec(head);
    if (match) return unclearZone.test(head.slice(match[0].length)) ? undefined : read(match.groups ?? {}, now);
  }
  return undefined;
}

/** Removes prefixes: `web-1  | ` of docker compose, `<34>1 ` and `<34>` of syslog, and levels such as `[ERROR] `. */
function withoutPrefix(line: string): string {
  const text = line.replace(/^[\w.-]+\s+\| /, "").replace(/^<\d{1,3}>(?:\d{1,2} )?/, "");
  const [prefix = "", word] = /^[[<(]?([A-Za-z]{3,9})[\])>]?:?\s+(?=[[\d])/.exec(text) ?? [];
  return word !== undefined && parseLevel(word) ? text.slice(prefix.length) : text;
}

/** Ambiguous zone abbreviations and zone names. A time with one is not parsed. */
const unclearZone = /^\s?(?:IST|BST|AST|ADT|CDST|SST|GST|PKT|WIB|BRT|ART|[A-Z][a-z]+\/[A-Z][a-z]+)(?![\w-])/;

type Groups = Readonly<Record<string, string | undefined>>;

const clock = "\\d\\d:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?";
const month = "[A-Z][a-z]{2}";
/** A two-digit offset belongs to the time only if it follows directly. */
const zone = `(?<zone>[+-]\\d\\d(?::?\\d\\d)?(?![\\d:])|\\s?(?:[+-]\\d\\d:?\\d\\d|${zoneForm})(?!\\w))?`;

const forms: readonly (readonly [form: RegExp, read: (groups: Groups, now: Date) => number | undefined])[] = [
  // 2026-11-30T09:00:00.123456Z, [2026-11-30 09:00:00,123], 2026/11/30 09:00:00, 2026.11.30 09:00:00.123
  [
    start(`(?<year>\\d{4})(?<mark>[-/.])(?<month>\\d\\d)\\k<mark>(?<day>\\d\\d)[T ](?<clock>${clock})${zone}`),
    (groups) => ofDate(groups),
  ],
  // 20261130-09:00:00:123, 20261130T090000Z
  [
    start(
      `(?<year>\\d{4})(?<month>\\d\\d)(?<day>\\d\\d)[-T ](?<h>\\d\\d):?(?<m>\\d\\d):?(?<s>\\d\\d)(?:[.,:](?<f>\\d{1,9}))?${zone}`,
    ),
    ({ h, m, s, f = "0", ...date }) => ofDate({ ...date, clock: `${h}:${m}:${s}.${f}` }),
  ],
  // 30 Nov 2026 09:00:00,123; 30-Nov-2026 09:00:00; 1234:M 30 Nov 2026 09:00:00.123 of Redis
  [
    start(`(?:\\d+:[A-Z] )?(?<day>\\d{1,2})[ /-](?<name>${month})[ /-](?<year>\\d{4})[ :](?<clock>${clock})${zone}`),
    (groups) => ofNames(groups),
  ],
  // An access log: 10.0.0.1 - - [30/Nov/2026:09:00:18 -0100] "GET …
  [
    new RegExp(`^[^\\[\\]"]{1,200}\\[(?<day>\\d{1,2})/(?<name>${month})/(?<year>\\d{4}):(?<clock>${clock})${zone}\\]`),
    (groups) => ofNames(groups),
  ],
  // Apache's error log, and `date`: [Mon Nov 30 09:00:00.123456 2026]
  [
    start(`(?:[A-Z][a-z]{2} )(?<name>${month}) +(?<day>\\d{1,2}) (?<clock>${clock})${zone} (?<year>\\d{4})`),
    (groups) => ofNames(groups),
  ],
  // java.util.logging: Nov 30, 2026 9:00:00 AM
  [
    start(
      `(?<name>${month}) (?<day>\\d{1,2}), (?<year>\\d{4}),? (?<h>\\d{1,2})(?<rest>:\\d\\d:\\d\\d(?:\\.\\d+)?)(?: (?<half>[AP]M))?`,
    ),
    ({ h = "", rest = "", half, ...date }) => ofNames({ ...date, clock: `${hourOf(h, half)}${rest}` }),
  ],
  // syslog of RFC 3164: Nov 30 09:00:00, also with a year
  [
    start(`\\*?(?<name>${month}) +(?<day>\\d{1,2})(?: (?<year>\\d{4}))? (?<clock>${clock})${zone}`),
    (groups, now) => (groups["year"] ? ofNames(groups) : latest(now, (year) => ofNames({ ...groups, year }))),
  ],
  // glog and Kubernetes: I1130 09:00:00.123456
  [
    /^[IWEF](?<year>\d{4})?(?<month>\d\d)(?<day>\d\d) +(?<clock>\d\d:\d\d:\d\d(?:\.\d+)?)/,
    (groups, now) => (groups["year"] ? ofDate(groups) : latest(now, (year) => ofDate({ ...groups, year }))),
  ],
  // Android: 11-30 09:00:00.123  1234
  [
    /^(?<month>\d\d)-(?<day>\d\d) (?<clock>\d\d:\d\d:\d\d\.\d+)(?=\s+\d+\s)/,
    (groups, now) => latest(now, (year) => ofDate({ ...groups, year })),
  ],
  // Seconds, milliseconds, microseconds or nanoseconds since 1970.
  [
    /^\[?(?<epoch>[12]\d{9}(?:\.\d{1,9})?|[12]\d{12}|[12]\d{15}|[12]\d{18})(?=[\]\s,:|])/,
    ({ epoch }) => parseTimestamp(epoch),
  ],
  // zap: 1.7960313668e+09
  [/^(?<epoch>[12]\.\d{3,}e\+?0?9)(?=\s)/i, ({ epoch }) => parseTimestamp(Number(epoch))],
  // logfmt: time=2026-11-30T09:00:00Z, ts="…"
  [
    /^(?=[\w.@-]+=)(?:[\w.@-]+=(?:"(?:[^"\\]|\\.)*"|[^\s"]*)\s+)*?@?(?:time|ts|timestamp|t|datetime)=(?:"(?<quoted>[^"]{1,60})"|(?<plain>[^\s"]{1,60}))/,
    ({ quoted, plain }) => parseTimestamp(quoted ?? plain, "local"),
  ],
];

function start(form: string): RegExp {
  return new RegExp(`^\\[?${form}`);
}

function ofDate({ year, month, day, clock, zone }: Groups): number | undefined {
  return read(`${year}-${month}-${day} ${clock}`, zone);
}

function ofNames({ year, name, day, clock, zone }: Groups): number | undefined {
  return read(`${day} ${name} ${year} ${clock}`, zone);
}

function read(time: string, zone: string | undefined, defaultZone: DefaultZone = "local"): number | undefined {
  return parseTimestamp(`${time}${zone?.trimStart() ?? ""}`, defaultZone);
}

function hourOf(hour: string, half: string | undefined): string {
  const number = half === undefined ? Number(hour) : (Number(hour) % 12) + (half === "PM" ? 12 : 0);
  return String(number).padStart(2, "0");
}

const dayMs = 86_400_000;

/** 29 February occurs every four years. */
const yearsBack = 4;

/** Returns the time in the latest year in which it is at most one day after `now`. */
function latest(now: Date, inYear: (year: string) => number | undefined): number | undefined {
  for (let back = -1; back <= yearsBack; back++) {
    const micros = inYear(String(now.getFullYear() - back));
    if (micros !== undefined && micros <= (now.getTime() + dayMs) * 1000) return micros;
  }
  return undefined;
}

/** Formats ISO 8601 with milliseconds, or with microseconds if they are not zero. */
export function isoOfMicros(micros: number): string {
  const iso = new Date(Math.floor(micros / 1000)).toISOString();
  const rest = ((micros % 1000) + 1000) % 1000;
  return rest === 0 ? iso : iso.replace("Z", `${String(rest).padStart(3, "0")}Z`);
}
