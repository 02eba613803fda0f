import type { QueriedEntry } from "@sazabi/sdk/protocol";

/** An entry as it is stored. Every text in it can be stored: no NUL, no lone surrogate. */
export interface NormalisedEntry extends QueriedEntry {
  /** Microseconds since 1970, a safe integer, within the window of intake. */
  readonly timestampMicros: number;
  /** What is equal in two sendings of one entry, made of all that was sent with an identity; 1 to 200 characters. */
  readonly uid?: string | undefined;
  /** Memory it takes, roughly, in bytes. */
  readonly bytes: number;
}
