import { maxNameLength } from "@sazabi/sdk/protocol";
import { z } from "zod";
import { holdsKey } from "../redaction/key-redaction.ts";

/*
 * Rules for texts that people read in lists and records. Misleading characters are rejected. The rules
 * use Unicode properties, so that names in every script are possible.
 */

/** Scripts in which U+200C and U+200D change how letters join. */
const joiningScripts = ["Arab", "Beng", "Deva", "Gujr", "Guru", "Khmr", "Knda", "Mlym", "Mong", "Mymr", "Orya", "Sinh"]
  .concat(["Syrc", "Taml", "Telu", "Tibt"])
  .map((script) => `\\p{scx=${script}}`)
  .join("");

const hidden = new RegExp(
  [
    "[\\p{Cc}\\p{Co}\\p{Zl}\\p{Zp}\\p{Bidi_Control}\\p{Noncharacter_Code_Point}]",
    // Invisible characters, such as U+200B, U+00AD, U+3164 and tags.
    "(?![\\u200c\\u200d\\ufe0e\\ufe0f])\\p{Default_Ignorable_Code_Point}",
    // Joiners are allowed between emoji and between joining letters; presentation selectors after emoji
    // and in keycaps.
    `(?<![${joiningScripts}\\p{Extended_Pictographic}\\p{Emoji_Modifier}\\ufe0f])[\\u200c\\u200d]`,
    "(?<!\\p{Extended_Pictographic})(?![\\ufe0e\\ufe0f]\\u20e3)[\\ufe0e\\ufe0f]",
  ].join("|"),
  "u",
);

/**
 * Returns whether the text contains a control character or a lone surrogate. For third-party texts,
 * which are accepted as far as possible.
 */
export function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text) || !text.isWellFormed();
}

/**
 * Returns whether the text contains a control, bidirectional or invisible character, or a lone
 * surrogate, which is invalid.
 */
export function hasHiddenCharacter(text: string): boolean {
  return !text.isWellFormed() || hidden.test(text);
}

/** As `hasHiddenCharacter`, for a text of several lines. */
export function hasHiddenInLines(text: string): boolean {
  return text.split(/\r\n|[\t\r\n]/).some(hasHiddenCharacter);
}

/** Returns false for a text of spaces and combining marks only. U+2800 is a Braille pattern without dots. */
export function isVisible(text: string): boolean {
  return /[^\p{Z}\p{M}\p{C}\u2800]/u.test(text);
}

export const hiddenMessage = "must not hold control, bidirectional or invisible characters";
const blankMessage = "must hold a visible character";

/** A name that people read in lists: visible, on one line, and not a key. */
export const visibleName = z
  .string()
  .trim()
  .min(1)
  .max(maxNameLength)
  .refine((text) => !hasHiddenCharacter(text), hiddenMessage)
  .refine(isVisible, blankMessage)
  .refine((text) => !holdsKey(text), "must not hold a key: names are kept and shown");
