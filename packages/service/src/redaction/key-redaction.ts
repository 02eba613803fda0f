import { importedKeyLength, maskKey } from "@sazabi/sdk/protocol";
import { PrefixSet } from "./prefix-set.ts";

/* Redacts API keys from untrusted text, such as URLs, names and headers, before it is logged, stored or echoed. */

const keyLike = /(?:[sp]k_live_|sazabi_(?:secret|public)_)\w{8,}/g;

/** Maximum number of encodings under which a key in a URL is found. */
const maxEncodings = 5;

/** Returns true when `text` contains a key issued by this service, or most of one. */
export function holdsKey(text: string): boolean {
  // All keys contain a `_` and most texts do not, so this test is much faster.
  return text.includes("_") && text.search(keyLike) >= 0;
}

/** As `holdsKey`, for a text that may be percent-encoded, possibly several times. */
export function urlHoldsKey(url: string): boolean {
  return decodings(url).some(holdsKey);
}

/** Returns `url` unchanged, and percent-decoded once, twice and so on, while that changes it. */
export function decodings(url: string): readonly string[] {
  const texts = [url];
  while (texts.length <= maxEncodings) {
    const text = texts.at(-1) as string;
    const decoded = text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (decoded === text) break;
    texts.push(decoded);
  }
  return texts;
}

/**
 * Returns `text` with keys masked except for their ends. Imported keys are masked when this process
 * knows their prefix.
 */
export function hideKeys(text: string): string {
  return hideImportedKeys(text.replace(keyLike, (key) => maskKey(key)));
}

let importedPrefixes = new PrefixSet([]);

/** Sets the prefixes of imported keys that `hideKeys` also masks. */
export function hideImported(prefixes: PrefixSet): void {
  importedPrefixes = prefixes;
}

/**
 * Returns whether a URL appears to contain an imported key, by its form and the prefixes known to this
 * process. It runs for unauthenticated requests, so its time is bounded: a URL is searched up to
 * `maxSearched`.
 */
export function urlSeemsToHoldImportedKey(url: string): boolean {
  if (importedPrefixes.size === 0) return false;
  return decodings(url.slice(0, maxSearched)).some((text) => hideImportedKeys(text) !== text);
}

const maxSearched = 1_000;

const wordStarts = /(?<![\w-])(?=[\w.-])/g;
/** The text after a prefix. Without a digit, it is a name rather than a key. */
const restOfKey = /(?=[A-Za-z_-]*\d)[\w+/=.-]{8,}/y;

function hideImportedKeys(text: string): string {
  if (importedPrefixes.size === 0) return text;
  let hidden = "";
  let done = 0;
  for (const { index } of text.matchAll(wordStarts)) {
    if (index < done) continue;
    const end = endOfImportedKey(text, index);
    if (end === undefined) continue;
    hidden += text.slice(done, index) + maskKey(text.slice(index, end));
    done = end;
  }
  return hidden + text.slice(done);
}

function endOfImportedKey(text: string, start: number): number | undefined {
  for (const length of importedPrefixes.lengthsAt(text, start)) {
    restOfKey.lastIndex = start + length;
    if (restOfKey.test(text)) return restOfKey.lastIndex;
  }
  return undefined;
}

/**
 * Returns the parts of `text` that may be a whole imported key: the texts between spaces, as they are
 * and without surrounding punctuation. A database look-up decides whether one is a key.
 */
export function importedKeyCandidates(text: string): readonly string[] {
  const { min, max } = importedKeyLength;
  const words = text.split(/[^\x21-\x7e]+/);
  const bare = words.flatMap((word) => [
    word,
    word.replace(/^[^\w]+|[^\w]+$/g, ""),
    ...word.split(/["'`,;:=()<>[\]{}]+/),
  ]);
  return [...new Set(bare)].filter(({ length }) => length >= min && length <= max);
}

/**
 * As `importedKeyCandidates`, for a URL, whose path segments and parameters may be percent-encoded,
 * possibly several times.
 */
export function importedKeyCandidatesOf(url: string): readonly string[] {
  const [path = "", query = ""] = url.split("?", 2);
  const values = [...new URLSearchParams(query)].flat();
  return importedKeyCandidates([...path.split("/"), ...values].flatMap(decodings).join(" "));
}
