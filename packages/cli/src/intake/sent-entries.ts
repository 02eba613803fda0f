import type { SentEntry } from "./entry.ts";

const maxNamedServices = 3;
const hourMs = 3_600_000;
/** What a query searches by default. */
const defaultHours = 24;

/** What is needed to find accepted entries again: their services, and the earliest time. */
export class SentEntries {
  readonly #services = new Set<string | undefined>();
  #earliestMicros: number | undefined;

  add({ service, timeMicros }: Pick<SentEntry, "service" | "timeMicros">): void {
    if (this.#services.size <= maxNamedServices) this.#services.add(service);
    if (timeMicros !== undefined) this.#earliestMicros = Math.min(timeMicros, this.#earliestMicros ?? timeMicros);
  }

  /** The command that shows them. With many services, or entries without one, it shows the others of that time, too. */
  queryCommand(now: Date): string {
    const ageHours = (now.getTime() - (this.#earliestMicros ?? now.getTime() * 1000) / 1000) / hourMs;
    // An hour more, for the time until the command is run.
    const since = ageHours + 1 <= defaultHours ? [] : ["--since", spanOf(Math.ceil(ageHours) + 1)];
    return ["sazabi logs query", ...since, ...this.#condition()].join(" ");
  }

  #condition(): readonly string[] {
    const services = [...this.#services].filter((service) => service !== undefined);
    if (services.length < this.#services.size || services.length === 0 || services.length > maxNamedServices) return [];
    const values = services.map(queryValue);
    return [shellWord(`service:${values.length === 1 ? values[0] : `(${values.join(" OR ")})`}`)];
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

function shellWord(text: string): string {
  return /^[\w:./@%+=-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
