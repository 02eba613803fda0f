import { maxNameLength } from "@sazabi/sdk/protocol";
import { z } from "zod";
import { holdsKey } from "../redaction/key-redaction.ts";

/*
 * Texts that people read in lists and records: what would mislead them is refused. Decided by Unicode properties, so that names
 * in every script remain possible.
 */

/** Scripts in which U+200C and U+200D change how letters join. */
const joiningScripts = ["Arab", "Beng", "Deva", "Gujr", "Guru", "Khmr", "Knda", "Mlym", "Mong", "Mymr", "Orya", "Sinh"]
  .concat(["Syrc", "Taml", "Telu", "Tibt"])
  .map((script) => `\\p{scx=${script}}`)
  .join("");

const hidden = new RegExp(
  [
    "[\\p{Cc}\\p{Co}\\p{Zl}\\p{Zp}\\p{Bidi_Control}\\p{Noncharacter_Code_Point}]",
    // Shows nothing, such as U+200B, U+00AD, U+3164 and tags.
    "(?![\\u200c\\u200d\\ufe0e\\ufe0f])\\p{Default_Ignorable_Code_Point}",
    // Joiners belong between emoji and between letters that join, presentation selectors behind emoji and into keycaps.
    `(?<![${joiningScripts}\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f])[\\u200c\\u200d]`,
    "(?<!\\p{Extended_Pictographic})(?![\\ufe0e\\ufe0f]\\u20e3)[\\ufe0e\\ufe0f]",
  ].join("|"),
  "u",
);

/** Control characters, and half a surrogate pair: for texts of strangers, of which as much as possible is to be taken. */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text) || !text.isWellFormed();
}

/** Control and bidirectional characters, such as show nothing, and half a surrogate pair, which is no text at all. */
export function hasHiddenCharacter(text: string): boolean {
  return !text.isWellFormed() || hidden.test(text);
}

/** As `hasHiddenCharacter`, for a text of several lines. */
export function hasHiddenInLines(text: string): boolean {
  return text.split(/\r\n|[\t\r\n]/).some(hasHiddenCharacter);
}

/** False for a text of spaces and marks alone. U+2800 is a pattern of Braille without a dot. */
export function isVisible(text: string): boolean {
  return /[^\p{Z}\p{M}\p{C}\u2800]/u.test(text);
}

export const hiddenMessage = "must not hold control, bidirectional or invisible characters";
const blankMessage = "must hold a visible character";

/** A name that people read in lists: visible, on one line, and no key. */
export const visibleName = z
  .string()
  .trim()
  .min(1)
  .max(maxNameLength)
  .refine((text) => !hasHiddenCharacter(text), hiddenMessage)
  .refine(isVisible, blankMessage)
  .refine((text) => !holdsKey(text), "must not hold a key: names are kept and shown");
