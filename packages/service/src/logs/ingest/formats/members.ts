import { entryAliases, intakeLimits, type Slot } from "@sazabi/sdk/protocol";
import { ApiError } from "../../../errors.ts";

/** What JSON has words for. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | Members;

/** Without a prototype, so that `__proto__` is a name like others. */
export interface Members {
  [name: string]: JsonValue;
}

export function newMembers(): Members {
  return Object.create(null) as Members;
}

/** Adds what `target` does not have. A name that is taken by another value comes under `prefix`, and is not lost. */
export function addMembers(target: Members, source: Members, prefix: string): void {
  for (const name of Object.keys(source)) {
    const value = source[name] as JsonValue;
    if (!(name in target)) target[name] = value;
    else if (target[name] !== value) target[`${prefix}.${name}`] = value;
  }
}

/** Whether one of the members is what an entry calls its message, service and so on, and says something. */
export function names(members: Members, slot: Slot): boolean {
  return Object.keys(members).some((name) => {
    const alias = entryAliases.get(name);
    return alias?.slot === slot && !alias.vague && typeof members[name] === "string" && members[name] !== "";
  });
}

export function isMembers(value: JsonValue | undefined): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What all entries of a request may take of memory for members they share, in bytes, roughly. */
const sharedLimit = 32 * 1024 * 1024;

/**
 * Counts what entries share: a resource or a set of labels stands once in the body and goes into every entry, so a small
 * body could become a large one.
 */
export class SharedMembers {
  #total = 0;

  /** Call it for each entry. Throws 413 when the entries of the request share too much. */
  count(size: number): void {
    this.#total += size;
    if (this.#total <= sharedLimit) return;
    throw new ApiError(
      "PAYLOAD_TOO_LARGE",
      `What the entries share (resource, scope, labels) would take more than ${sharedLimit / 1024 / 1024} MiB once each has it. Send the body in parts, or share less.`,
    );
  }
}

/** What a member takes beside its text. */
const memberBytes = 16;
/** What one takes that no entry has room for as an attribute. */
const excessBytes = 1024;

/** Roughly, in bytes. */
export function sizeOf(members: Members): number {
  const count = Object.keys(members).length;
  const excess = Math.max(0, count - intakeLimits.attributes);
  return JSON.stringify(members).length + count * memberBytes + excess * excessBytes;
}
