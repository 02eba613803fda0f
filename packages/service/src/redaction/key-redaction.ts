import { importedKeyLength, maskKey } from "@sazabi/sdk/protocol";
import { PrefixSet } from "./prefix-set.ts";

/*
 * Keys where no key belongs: in a URL, a name, a header that is kept. What comes from outside and is written down or
 * said again goes through here.
 */

const keyLike = /(?:[sp]k_live_|sazabi_(?:secret|public)_)\w{8,}/g;

/** How often a key in a URL may be encoded and is still found. */
const maxEncodings = 5;

/** True when `text` holds a key of ours, or most of one. */
export function holdsKey(text: string): boolean {
  // Each of them has a `_`, and most texts have none: to see that is much quicker.
  return text.includes("_") && text.search(keyLike) >= 0;
}

/** As `holdsKey`, for a text that may be percent-encoded, also several times. */
export function urlHoldsKey(url: string): boolean {
  return decodings(url).some(holdsKey);
}

/** `url` as it is, and percent-decoded once, twice and so on, for as long as that changes it. */
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

/** `text` in which keys show no more than their ends; of imported ones those whose prefix this process has met. */
export function hideKeys(text: string): string {
  return hideImportedKeys(text.replace(keyLike, (key) => maskKey(key)));
}

let importedPrefixes = new PrefixSet([]);

/** How imported keys begin: from now on `hideKeys` masks them, too. */
export function hideImported(prefixes: PrefixSet): void {
  importedPrefixes = prefixes;
}

/**
 * Whether a URL seems to hold an imported key: by its form, and by the prefixes that this process has met. Strangers may ask
 * for this, so the time it takes is bounded: a URL is searched as far as `maxSearched`.
 */
export function urlSeemsToHoldImportedKey(url: string): boolean {
  if (importedPrefixes.size === 0) return false;
  return decodings(url.slice(0, maxSearched)).some((text) => hideImportedKeys(text) !== text);
}

const maxSearched = 1_000;

const wordStarts = /(?<![\w-])(?=[\w.-])/g;
/** What follows a prefix. What goes on without a digit is a name rather than a key. */
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
 * What in `text` can be a whole imported key: the texts between spaces, as they are and without the marks around them.
 * Whether one is a key, the database knows.
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

/** The same of a URL, whose path segments and parameters may be percent-encoded, also several times. */
export function importedKeyCandidatesOf(url: string): readonly string[] {
  const [path = "", query = ""] = url.split("?", 2);
  const values = [...new URLSearchParams(query)].flat();
  return importedKeyCandidates([...path.split("/"), ...values].flatMap(decodings).join(" "));
}
