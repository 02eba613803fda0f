/**
 * `JSON.parse`, but an integer that a number cannot keep exactly (beyond 2^53) becomes the text of its digits. Takes time
 * proportional to the text, and hardly any more than `JSON.parse` for a text without such integers.
 */
export function parseExactJson(text: string): unknown {
  return JSON.parse(mayHaveBigInteger(text) ? quoteBigIntegers(text) : text);
}

/** Fewer digits are kept exactly. */
const shortest = 16;
const quote = 0x22;
const minus = 0x2d;
const backslash = 0x5c;

/**
 * Looks at every sixteenth character. A run of 16 digits contains one of these, and also the character 8 before it or 7
 * after it.
 */
function mayHaveBigInteger(text: string): boolean {
  for (let at = shortest - 1; at < text.length; at += shortest) {
    if (!isDigit(text.charCodeAt(at))) continue;
    if (!isDigit(text.charCodeAt(at - shortest / 2)) && !isDigit(text.charCodeAt(at + shortest / 2 - 1))) continue;
    let start = at;
    while (start > 0 && isDigit(text.charCodeAt(start - 1))) start -= 1;
    const end = endOfDigits(text, at);
    // Behind a quote it is a text.
    if (end - start >= shortest && (start === 0 || text.charCodeAt(start - 1) !== quote)) return true;
    at = Math.max(at, end - shortest);
  }
  return false;
}

function quoteBigIntegers(text: string): string {
  let quoted = "";
  let copied = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) {
      at = endOfJsonString(text, at);
    } else if (isDigit(code)) {
      const end = endOfDigits(text, at);
      const start = text.charCodeAt(at - 1) === minus ? at - 1 : at;
      if (end - at >= shortest && text[at] !== "0" && isValue(text, start, end)) {
        const digits = text.slice(start, end);
        if (!Number.isSafeInteger(Number(digits))) {
          quoted += `${text.slice(copied, start)}"${digits}"`;
          copied = end;
        }
      }
      at = end - 1;
    }
  }
  return quoted + text.slice(copied);
}

/** Whether what stands there is a whole value: not a part of another number, and not where a name belongs. */
function isValue(text: string, start: number, end: number): boolean {
  let before = start - 1;
  while (isSpace(text.charCodeAt(before))) before -= 1;
  let after = end;
  while (isSpace(text.charCodeAt(after))) after += 1;
  return (
    (before < 0 || ":,[".includes(text[before] as string)) &&
    (after >= text.length || ",]}".includes(text[after] as string))
  );
}

/** The place of the quote that closes the JSON string at `start`; the end of the text when there is none. */
export function endOfJsonString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === quote) return at;
    if (code === backslash) at += 1;
  }
  return text.length;
}

function endOfDigits(text: string, start: number): number {
  let end = start;
  while (isDigit(text.charCodeAt(end))) end += 1;
  return end;
}

function isDigit(code: number): boolean {
  return (code ^ 0x30) <= 9;
}

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
