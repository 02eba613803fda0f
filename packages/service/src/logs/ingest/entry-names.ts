import { type Alias, entryAliases, intakeLimits, levels, storable } from "@sazabi/sdk/protocol";
import { isLongerThan } from "./entry-limits.ts";

/** The ranks of levels in their usual spelling. */
export const levelRanks: ReadonlyMap<unknown, number> = new Map(levels.map((level, rank) => [level, rank]));

/** The attribute in which the published clients send their public key. It is never stored, whatever it stands in. */
export const keyAttribute = "sazabi.public_key";
/** OpenTelemetry's name of an entry's identity. */
export const uidName = "log.record.uid";

/** What was sent, by name. */
export type Members = Readonly<Record<string, unknown>>;

/** What there is to know of a member's name. */
export interface Name {
  readonly path: string;
  readonly alias: Alias | undefined;
  /** As an attribute. */
  readonly key: string;
  /** Not the path as it was sent, so that two paths may have one key. */
  readonly isMended: boolean;
  readonly isTooLong: boolean;
  /** Its value is a key of ours. */
  readonly holdsKey: boolean;
  /** The place of the slot its value is for, `attributeRole`, or `unclearRole`: numbers are told apart fastest. */
  readonly role: number;
}

/**
 * Names come again and again. When as many are known as are remembered, they become the older ones, and the names that
 * come again move back: so a flood of names costs others no more than one look-up of each of theirs.
 */
let names = new Map<string, Name>();
let olderNames = new Map<string, Name>();
const namesRemembered = 5_000;

export function parsePath(path: string): Name {
  const before = names.get(path);
  if (before !== undefined) return before;
  const name = olderNames.get(path) ?? describe(path);
  // Those that are too long are not worth the memory.
  if (!name.isTooLong) remember(name);
  return name;
}

function remember(name: Name): void {
  if (names.size >= namesRemembered) {
    olderNames = names;
    names = new Map();
  }
  names.set(name.path, name);
}

function describe(path: string): Name {
  const key = storable(path);
  const alias = entryAliases.get(path);
  const isMended = key !== path;
  const isTooLong = isLongerThan(key, intakeLimits.attributeKeyBytes);
  const holdsKey = path.endsWith(keyAttribute);
  const isUnclear = isMended || isTooLong || holdsKey || unclearNames.has(path);
  const role = roleOf(alias, isUnclear);
  // Written out: copied from another object it would be slower to read.
  return { path, alias, key, isMended, isTooLong, holdsKey, role };
}

export const attributeRole = 100;
/** More has to be known than the name. */
export const unclearRole = 101;
/** A vague alias: at the top of an entry the value decides, inside `attributes` it is an attribute. */
export const vagueRole = 102;
/** `id` and `log.record.uid` are attributes, and say which entry it is as well. */
const unclearNames: ReadonlySet<string> = new Set(["attributes", "id", uidName]);

function roleOf(alias: Alias | undefined, isUnclear: boolean): number {
  if (alias !== undefined) return alias.vague ? vagueRole : alias.place;
  return isUnclear ? unclearRole : attributeRole;
}

const placesRemembered = 100;

/** The names of the entry before by their places: the next one mostly has the same ones there. */
export class LastNames {
  readonly #names: Name[] = [];

  at(place: number, path: string): Name {
    const last = this.#names[place];
    if (last !== undefined && last.path === path) return last;
    const name = parsePath(path);
    if (place < placesRemembered && place <= this.#names.length && !name.isTooLong) this.#names[place] = name;
    return name;
  }
}
