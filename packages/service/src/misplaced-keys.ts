import { maskKey } from "@sazabi/sdk/protocol";

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
  let text = url;
  for (let level = 0; level < maxEncodings; level++) {
    if (holdsKey(text)) return true;
    const decoded = text.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
    if (decoded === text) return false;
    text = decoded;
  }
  return holdsKey(text);
}

/** `text` in which keys show no more than their ends. */
export function hideKeys(text: string): string {
  return text.replace(keyLike, (key) => maskKey(key));
}
