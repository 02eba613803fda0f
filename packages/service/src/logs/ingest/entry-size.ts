import { intakeLimits } from "@sazabi/sdk/protocol";
import type { Members } from "./entry-names.ts";

/**
 * Says what an entry has too much of, before anything is made of it: undefined for one within `entryMembers` and
 * `entryCharacters`. It looks at no more than these.
 */
export function excessOf(entry: Members): string | undefined {
  const { entryMembers, entryCharacters } = intakeLimits;
  let members = 0;
  let characters = 0;
  /** Objects and arrays that are not counted yet. */
  const pending: object[] = [entry];
  for (let container = pending.pop(); container !== undefined; container = pending.pop()) {
    const isArray = Array.isArray(container);
    for (const key in container) {
      const value = (container as Members)[key];
      members += 1;
      if (!isArray) characters += key.length;
      if (typeof value === "string") characters += value.length;
      else if (typeof value === "object" && value !== null) pending.push(value);
      if (members > entryMembers) return `has more than ${entryMembers} members and elements.`;
      if (characters > entryCharacters) {
        return `has more than ${entryCharacters} characters in its names and values.`;
      }
    }
  }
  return undefined;
}
