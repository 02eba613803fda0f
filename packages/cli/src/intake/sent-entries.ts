import { shellWord } from "../output/shell-word.ts";
import type { SentEntry } from "./entry.ts";

const maxNamedServices = 10;
const hourMs = 3_600_000;
/** What a query searches by default. */
const defaultHours = 24;

/** What is needed to find accepted entries again: their services, and the earliest time. */
export class SentEntries {
  readonly #services = new Set<string>();
  #someLackService = false;
  #earliestMicros: number | undefined;

  add({ service, timeMicros }: Pick<SentEntry, "service" | "timeMicros">): void {
    if (service === undefined) this.#someLackService = true;
    else if (this.#services.size <= maxNamedServices) this.#services.add(service);
    if (timeMicros !== undefined) this.#earliestMicros = Math.min(timeMicros, this.#earliestMicros ?? timeMicros);
  }

  /** Names the command that shows them, with these options. With many services it shows all entries of that time. */
  queryHint(now: Date, options: readonly string[]): string {
    const condition = this.#condition();
    const earliestMs = (this.#earliestMicros ?? Number.POSITIVE_INFINITY) / 1000;
    const ageHours = Math.max(0, now.getTime() - earliestMs) / hourMs;
    // An hour more, for the time until the command is run.
    const needsSince = condition === "" || ageHours + 1 > defaultHours;
    const since = needsSince ? ["--since", spanOf(Math.ceil(ageHours) + 1)] : [];
    const words = [...options, ...since, ...(condition === "" ? [] : [condition])].map(shellWord);
    const opening = condition === "" ? "See them, among others" : "See them";
    return `${opening}: ${["sazabi logs query", ...words].join(" ")}`;
  }

  /** The query that finds them; empty when it would be too long. */
  #condition(): string {
    if (this.#services.size > maxNamedServices) return "";
    const values = [...this.#services].map(queryValue);
    const named = values.length === 1 ? `service:${values[0]}` : `service:(${values.join(" OR ")})`;
    return [...(values.length === 0 ? [] : [named]), ...(this.#someLackService ? ["NOT service:*"] : [])].join(" OR ");
  }
}

function spanOf(hours: number): string {
  return hours <= 48 ? `${hours}h` : `${Math.ceil(hours / 24)}d`;
}

/** The value as the query language reads it: in quotes when a character in it could be syntax. */
function queryValue(text: string): string {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(text) && !/^(?:AND|OR|NOT)$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
