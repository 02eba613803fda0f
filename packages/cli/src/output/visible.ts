/**
 * Untrusted text (log messages, names, error messages) may contain terminal control sequences. They can move the
 * cursor, change the title, write to the clipboard, or reverse the reading order. These functions escape them.
 */

/** C0 and C1 controls, DEL, line separators, and characters that reorder or hide text. */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\p{Surrogate}|[\u{e0000}-\u{e007f}]/gu;

/** Colours and weights only: dropping them loses nothing. Any other sequence is shown. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const styling = /\u001b\[[\d;:]*m/g;

/** Returns one line of text that is safe to print. */
export function visible(text: string): string {
  return text.replace(styling, "").replace(unsafe, escapeCharacter);
}

/** Returns the lines of a text, each safe to print. */
export function visibleLines(text: string): readonly string[] {
  return text
    .replace(/\r?\n$/, "")
    .split(/\r?\n/)
    .map((line) =>
      line
        .replace(styling, "")
        .replace(unsafe, (character) => (character === "\t" ? "\t" : escapeCharacter(character))),
    );
}

/** Returns a multi-line text that is safe to print. Line feeds and tabs are unchanged. */
export function visibleText(text: string): string {
  return text
    .replace(styling, "")
    .replace(unsafe, (character) =>
      character === "\t" || character === "\n" ? character : escapeCharacter(character),
    );
}

/** Returns JSON that is safe to print. It parses to exactly the same value. */
export function safeJson(value: unknown, indent?: number): string {
  // JSON.stringify escapes C0 itself, except for the line ends of its indentation.
  return JSON.stringify(value, null, indent).replace(unsafe, (character) =>
    character === "\n" ? character : [...unitsOf(character)].map(unicodeEscape).join(""),
  );
}

const short: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escapeCharacter(character: string): string {
  const known = short[character];
  if (known) return known;
  const code = character.codePointAt(0) as number;
  if (code < 0x100) return `\\x${code.toString(16).padStart(2, "0")}`;
  return code > 0xffff ? `\\u{${code.toString(16)}}` : unicodeEscape(code);
}

function* unitsOf(character: string): Generator<number> {
  for (let i = 0; i < character.length; i++) yield character.charCodeAt(i);
}

const unicodeEscape = (unit: number) => `\\u${unit.toString(16).padStart(4, "0")}`;
