import type { LogEntry } from "@sazabi/sdk";
import { formatMoment } from "../times.ts";
import type { Palette } from "./colour.ts";
import { visible, visibleLines } from "./visible.ts";

/** Sets the further lines of a message apart, so that none of them can pass for an entry. */
const continuation = "    | ";

/** An entry as text: time, level, service, message, attributes. */
export function entryLines(entry: LogEntry, palette: Palette): readonly string[] {
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

function shownValue(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return visible(/[\s"=]/.test(text) ? JSON.stringify(text) : text);
}
