import { shellWord } from "../output/shell-word.ts";
import type { SentEntry } from "./entry.ts";

const maxNamedServices = 10;
const hourMs = 3_600_000;
/** The default time range of a query. */
const defaultHours = 24;

/** The services and the earliest time of accepted entries, which a query needs to find them. */
export class SentEntries {
  readonly #services = new Set<string>();
  #someLackService = false;
  #earliestMicros: number | undefined;

  add({ service, timeMicros }: Pick<SentEntry, "service" | "timeMicros">): void {
    if (service === undefined) this.#someLackService = true;
    else if (this.#services.size <= maxNamedServices) this.#services.add(service);
    if (timeMicros !== undefined) this.#earliestMicros = Math.min(timeMicros, this.#earliestMicros ?? timeMicros);
  }

  /**
   * Returns a command that shows the entries, with these options. With many services, it shows all entries of that
   * time.
   */
  queryHint(now: Date, options: readonly string[]): string {
    const condition = this.#condition();
    const earliestMs = (this.#earliestMicros ?? Number.POSITIVE_INFINITY) / 1000;
    const ageHours = Math.max(0, now.getTime() - earliestMs) / hourMs;
    // One extra hour for the time until the user runs the command.
    const needsSince = condition === "" || ageHours + 1 > defaultHours;
    const since = needsSince ? ["--since", spanOf(Math.ceil(ageHours) + 1)] : [];
    const words = [...options, ...since, ...(condition === "" ? [] : [condition])].map(shellWord);
    const opening = condition === "" ? "See them, among others" : "See them";
    return `${opening}: ${["sazabi logs query", ...words].join(" ")}`;
  }

  /** Returns the query for the services, or an empty string if it would be too long. */
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

/** Returns the value as query syntax, quoted if a character could be syntax. */
function queryValue(text: string): string {
  if (/^[\p{L}\p{N}_][\p{L}\p{N}_.-]*$/u.test(text) && !/^(?:AND|OR|NOT)$/.test(text)) return text;
  return `"${text.replace(/["\\]/g, "\\$&")}"`;
}
