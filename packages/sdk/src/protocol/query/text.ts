/** The methods are older than the types we compile against: every browser has them since 2023, and Node since 20. */
interface WellFormed {
  isWellFormed(): boolean;
  toWellFormed(): string;
}

/**
 * The text as it is stored and searched: a NUL, which PostgreSQL cannot hold, becomes U+2400 (␀), a lone surrogate
 * U+FFFD. Intake and queries both go through here, so that what was sent is found. Offsets stay as they are.
 */
export function sanitizeText(text: string): string {
  const checked = text as string & WellFormed;
  if (!text.includes("\0")) return checked.isWellFormed() ? text : checked.toWellFormed();
  return (checked.toWellFormed() as string).replaceAll("\0", "\u2400");
}

/**
 * The text without case, character by character, so that its folding does not depend on a language, a place in a
 * word or a database's locale: the lower case of the upper case, where each is one character. `ẞ` and `ß` fold
 * alike, `ς` and `σ`, `µ` (micro) and `μ` (mu); `ß` and `ss` do not, nor `é` and `e`, nor composed and decomposed forms.
 * An ASCII letter folds only with its other case (not with the Kelvin sign), which engines do fast.
 */
export function fold(text: string): string {
  if (isAscii(text)) return text.toLowerCase();
  const folded = new Uint16Array(text.length);
  let isChanged = false;
  for (let place = 0; place < text.length; place++) {
    const unit = text.charCodeAt(place);
    const known = foldedUnits[unit] as number;
    if (known !== 0) {
      folded[place] = known;
      isChanged ||= known !== unit;
      continue;
    }
    const character = String.fromCodePoint(text.codePointAt(place) as number);
    const other = foldCharacter(character);
    folded[place] = other.charCodeAt(0);
    if (character.length === 2) folded[++place] = other.charCodeAt(1);
    else if (!isSurrogate(unit)) foldedUnits[unit] = other.charCodeAt(0);
    isChanged ||= other !== character;
  }
  return isChanged ? textOf(folded) : text;
}

export function isAscii(text: string): boolean {
  return /^[\0-\x7f]*$/.test(text);
}

/** By UTF-16 unit: what it folds to. Zero: not known yet, or half of a character. Folding keeps the length of a character. */
const foldedUnits = new Uint16Array(0x10000);

const unitsAtOnce = 8_192;

function textOf(units: Uint16Array): string {
  let text = "";
  for (let at = 0; at < units.length; at += unitsAtOnce) {
    // As an iterable it would take ten times as long.
    text += String.fromCharCode.apply(null, units.subarray(at, at + unitsAtOnce) as unknown as number[]);
  }
  return text;
}

function foldCharacter(character: string): string {
  if (character <= "\x7f") return character.toLowerCase();
  const upper = character.toUpperCase();
  const lower = (isOneCharacter(upper) ? upper : character).toLowerCase();
  return lower.length === character.length && lower > "\x7f" ? lower : character;
}

function isOneCharacter(text: string): boolean {
  return text.length === 1 || (text.length === 2 && (text.codePointAt(0) as number) > 0xffff);
}

/** Every character that folds as this one does, itself among them. */
export function caseVariants(character: string): readonly string[] {
  const folded = fold(character);
  if (folded <= "\x7f") {
    const upper = folded.toUpperCase();
    return upper === folded ? [folded] : [folded, upper];
  }
  return [folded, ...(unfoldings().get(folded) ?? [])];
}

/** Folded character → the others that fold to it. Made when the first query needs it, in about 20 ms. */
let unfoldingTable: Map<string, string[]> | undefined;

export function unfoldings(): ReadonlyMap<string, readonly string[]> {
  if (unfoldingTable) return unfoldingTable;
  unfoldingTable = new Map();
  const blockSize = 128;
  for (let block = blockSize; block < 0x20000; block += blockSize) {
    if (block >= 0xd800 && block < 0xe000) continue;
    const characters = Array.from({ length: blockSize }, (_, place) => String.fromCodePoint(block + place));
    const text = characters.join("");
    if (text.toLowerCase() === text && text.toUpperCase() === text) continue;
    for (const character of characters) {
      const folded = foldCharacter(character);
      if (folded === character) continue;
      const others = unfoldingTable.get(folded);
      if (others) others.push(character);
      else unfoldingTable.set(folded, [character]);
    }
  }
  return unfoldingTable;
}

/** Negative, zero or positive, by code point: the order of UTF-8 bytes and of SQL's `collate "C"`. */
export function compareText(a: string, b: string): number {
  const shorter = Math.min(a.length, b.length);
  for (let place = 0; place < shorter; place++) {
    const left = a.charCodeAt(place);
    const right = b.charCodeAt(place);
    if (left !== right) return codePointOrder(left) - codePointOrder(right);
  }
  return a.length - b.length;
}

/** UTF-16 puts characters beyond U+FFFF, which are surrogates, below U+E000. */
function codePointOrder(unit: number): number {
  return isSurrogate(unit) ? unit + 0x10000 : unit;
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff;
}

/**
 * A decimal number in text, as a POSIX regular expression that SQL shares. Its lengths keep every match within a
 * double, so that no cast can fail.
 */
export const numberPattern = "^[+-]?([0-9]{1,30}([.][0-9]{0,30})?|[.][0-9]{1,30})([eE][+-]?[0-9]{1,2})?$";
const number = new RegExp(numberPattern);

/** The number that a text is, or undefined: `500`, `-1.5`, `2e3`; not ` 5`, `0x1f`, `1,000`, `Infinity`. */
export function readNumber(text: string): number | undefined {
  return number.test(text) ? Number(text) : undefined;
}

/** An integer in text whose digits are compared, as a regular expression that SQL shares. It fits into 128 bits. */
export const integerPattern = "^-?[0-9]{1,30}$";
const integer = new RegExp(integerPattern);

/** The integer that a text is, with all its digits; undefined for every other text. */
export function readInteger(text: string): bigint | undefined {
  return integer.test(text) ? BigInt(text) : undefined;
}

/** A number as text without an exponent, as PostgreSQL prints one: 1e21 → `1000000000000000000000`. */
export function decimalText(value: number): string {
  const text = String(value);
  const match = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(text);
  if (!match) return text === "-0" ? "0" : text;
  const [, sign, whole, fraction = "", exponent] = match;
  const digits = `${whole}${fraction}`;
  const point = 1 + Number(exponent);
  if (point <= 0) return `${sign}0.${"0".repeat(-point)}${digits}`;
  return `${sign}${digits.padEnd(point, "0")}`;
}
