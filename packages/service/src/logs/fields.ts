import type { LogFields } from "./log-store.ts";

/** The newest entries; what only older ones hold is not told. */
export const sampledEntries = 1_000;
export const maxNames = 20_000;
/** Characters of all names of attributes that are told. */
const maxNameCharacters = 256 * 1024;

/** From how many of the sampled entries of a service have an attribute; with `key` null, how many there are. */
export function gatherFields(
  rows: readonly { readonly service: string; readonly key: string | null; readonly entries: string }[],
): LogFields {
  const services = rows
    .filter(({ key }) => key === null)
    .map((row) => ({ service: row.service, entries: Number(row.entries) }));
  const attributes = new Map<string, { key: string; services: string[]; entries: number }>();
  for (const { service, key, entries } of rows) {
    if (key === null) continue;
    const known = attributes.get(key) ?? { key, services: [], entries: 0 };
    attributes.set(key, known);
    if (service !== "") known.services.push(service);
    known.entries += Number(entries);
  }
  return {
    services: services.filter(({ service }) => service !== "").sort(mostFirst(({ service }) => service)),
    attributes: withinCharacters([...attributes.values()].sort(mostFirst(({ key }) => key))),
  };
}

function withinCharacters<T extends { readonly key: string }>(attributes: readonly T[]): readonly T[] {
  let characters = 0;
  return attributes.filter(({ key }) => {
    characters += key.length;
    return characters <= maxNameCharacters;
  });
}

function mostFirst<T extends { readonly entries: number }>(nameOf: (one: T) => string): (a: T, b: T) => number {
  return (a, b) => b.entries - a.entries || (nameOf(a) < nameOf(b) ? -1 : 1);
}
