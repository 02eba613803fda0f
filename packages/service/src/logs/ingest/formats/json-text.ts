import { intakeLimits, parseExactJson, storable } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { JsonFault, JsonLimit, parseInSteps, stepLength } from "../../../concurrency/json-steps.ts";
import { hideKeys } from "../../../redaction/key-redaction.ts";
import { beyondLimit } from "../body.ts";

/** Bytes that are no UTF-8 become U+FFFD; a byte order mark is dropped. */
export function decodeText(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
}

/** `error` says what is wrong with the text, such as "is not JSON: …". */
export type Parsed = { readonly value: unknown } | { readonly error: string };

/** Parses a whole body. Throws 413 when it has more of something than a body may have. */
export async function parseDocument(text: string, slices: TimeSlices): Promise<Parsed> {
  if (text.length <= stepLength) return parseAtOnce(text);
  try {
    return { value: await parseInSteps(text, { slices, maxMembers: intakeLimits.bodyMembers, parse: parseExactJson }) };
  } catch (error) {
    if (error instanceof JsonLimit) throw beyondLimit(error.message);
    return refusal(error);
  }
}

/** Parses one entry, such as a line. A promise only for a long one. */
export function parseEntry(text: string, slices: TimeSlices): Parsed | Promise<Parsed> {
  return text.length <= stepLength ? parseAtOnce(text) : parseLongEntry(text, slices);
}

async function parseLongEntry(text: string, slices: TimeSlices): Promise<Parsed> {
  try {
    return {
      value: await parseInSteps(text, { slices, maxMembers: intakeLimits.entryMembers, parse: parseExactJson }),
    };
  } catch (error) {
    return error instanceof JsonLimit ? { error: error.message } : refusal(error);
  }
}

/** Parses a short text: it takes no time that anybody would notice. */
export function parseAtOnce(text: string): Parsed {
  try {
    return { value: parseExactJson(text) };
  } catch (error) {
    return refusal(error);
  }
}

/** The message of the parser quotes the text, which may hold what cannot be stored, or a key. */
function refusal(error: unknown): Parsed {
  if (!(error instanceof JsonFault || error instanceof SyntaxError)) throw error;
  return { error: `is not JSON: ${hideKeys(storable(error.message)).slice(0, 200)}` };
}

const quote = 0x22;
const comma = 0x2c;
const backslash = 0x5c;
const lineFeed = 0x0a;
/** Characters that are looked at between two looks at the clock. */
const pieceLength = 256 * 1024;
/** Shorter bodies cannot have so many members that they would be a burden. */
const harmlessLength = 1024 * 1024;

/** Throws 413 when lines of JSON have more members together than a body may have, before any of them is parsed. */
export async function refuseTooManyMembers(lines: string, slices: TimeSlices): Promise<void> {
  if (lines.length <= harmlessLength) return;
  const { bodyMembers } = intakeLimits;
  let members = 0;
  let isInString = false;
  for (let start = 0; start < lines.length; start += pieceLength) {
    const end = Math.min(start + pieceLength, lines.length);
    for (let at = start; at < end; at++) {
      const code = lines.charCodeAt(at);
      if (code === quote) isInString = !isInString;
      else if (code === backslash && isInString) at += 1;
      else if (code === comma && !isInString) members += 1;
      // No string of JSON goes on behind its line.
      else if (code === lineFeed) isInString = false;
    }
    if (members > bodyMembers) throw beyondLimit(`has more than ${bodyMembers} members and elements`);
    const wait = slices.spend(pieceLength);
    if (wait) await wait;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
