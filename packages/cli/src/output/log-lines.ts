import type { LogEntry } from "@sazabi/sdk";
import { formatMoment } from "../times.ts";
import type { Palette } from "./colour.ts";
import { csvLine, csvRow } from "./csv.ts";
import { type FieldSelection, pick, textOf, valueAt } from "./fields.ts";
import { safeJson, visible, visibleLines } from "./visible.ts";

/** The members of an entry that are printed, the same for every response type. */
export type ShownEntry = Pick<LogEntry, "timestamp" | "level" | "service" | "message" | "attributes">;

/** The properties of a session that decide how entries are printed. */
interface Style {
  readonly format: "text" | "json" | "ndjson" | "csv";
  readonly flags: { readonly fields?: FieldSelection };
}

/**
 * Returns a printer for entries in the requested format. Its output has line ends; print `head` before the first entry.
 */
export function entryPrinter({ format, flags }: Style, palette: Palette) {
  const { all, chosen } = flags.fields ?? { all: [] };
  if (format === "csv") {
    const names = chosen ?? all;
    return { head: csvLine(names), print: (entry: ShownEntry) => csvRow(entry, names) };
  }
  const lines = (entry: ShownEntry): readonly string[] => {
    if (format !== "text") return [safeJson(chosen ? pick(entry, chosen) : entry)];
    return chosen ? chosenLines(entry, chosen, palette) : entryLines(entry, palette);
  };
  return {
    head: "",
    print: (entry: ShownEntry) =>
      lines(entry)
        .map((line) => `${line}\n`)
        .join(""),
  };
}

/** Indents the further lines of a message, so that none of them looks like an entry. */
const continuation = "    | ";

/** Formats an entry as text: time, level, service, message, attributes. */
function entryLines(entry: ShownEntry, palette: Palette): readonly string[] {
  const [first = "", ...more] = visibleLines(entry.message);
  const attributes = Object.entries(entry.attributes).map(([name, value]) => `${visible(name)}=${shownValue(value)}`);
  const head = [
    palette.dim(formatMoment(new Date(entry.timestamp))),
    palette.level(entry.level, visible(entry.level).toUpperCase().padEnd(5)),
    ...(entry.service ? [palette.bold(visible(entry.service))] : []),
    first,
    ...(attributes.length > 0 ? [palette.dim(attributes.join(" "))] : []),
  ];
  return [head.join("  "), ...more.map((line) => continuation + line)];
}

/** Formats only the values of these fields, with `-` for a missing value. */
function chosenLines(entry: ShownEntry, names: readonly string[], palette: Palette): readonly string[] {
  const texts = names.map((name) => visibleLines(shownField(entry, name)));
  const head = texts.map(([first = ""], i) => {
    if (names[i] === "level" || names[i] === "severity") return palette.level(entry.level, first.padEnd(5));
    return names[i] === "timestamp" ? palette.dim(first) : first;
  });
  const more = texts.flatMap(([, ...rest]) => rest);
  return [head.join("  "), ...more.map((line) => continuation + line)];
}

function shownField(entry: ShownEntry, name: string): string {
  if (name === "timestamp") return formatMoment(new Date(entry.timestamp));
  return textOf(valueAt(entry, name)) ?? "-";
}

function shownValue(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return visible(/[\s"=]/.test(text) ? JSON.stringify(text) : text);
}
