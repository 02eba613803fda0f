/**
 * Text from elsewhere (log messages, names, error sentences) may hold sequences that drive a terminal: move its
 * cursor, retitle it, write to its clipboard, reverse the reading order. These functions make them visible, so that
 * what is shown is what is there and nothing is carried out.
 */

/** C0 and C1 controls, DEL, line separators, and what reorders or hides text. */
const unsafe =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\p{Surrogate}|[\u{e0000}-\u{e007f}]/gu;

/** Colours and weights only: dropping them loses nothing. Any other sequence is shown. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const styling = /\u001b\[[\d;:]*m/g;

/** One line of text that is safe to print. */
export function visible(text: string): string {
  return text.replace(styling, "").replace(unsafe, escapeCharacter);
}

/** The lines of a text that may have several, each safe to print. */
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

/** A text of several lines that is safe to print: line feeds and tabs stay as they are. */
export function visibleText(text: string): string {
  return text
    .replace(styling, "")
    .replace(unsafe, (character) =>
      character === "\t" || character === "\n" ? character : escapeCharacter(character),
    );
}

/** JSON on one line. Parsed, it is the same value to the byte; printed, it drives no terminal. */
export function safeJson(value: unknown, indent?: number): string {
  // JSON.stringify escapes C0 itself, apart from the line ends of its own indentation.
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
