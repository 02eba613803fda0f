import { maskKey } from "@sazabi/sdk/protocol";

/*
 * Keys where no key belongs: in a URL, a name, a header that is kept. What comes from outside and is written down or
 * said again goes through here.
 */

const keyLike = /(?:[sp]k_live_|sazabi_(?:secret|public)_)\w{8,}/g;

/** True when `text` holds a key of ours, or most of one. */
export function holdsKey(text: string): boolean {
  // Each of them has a `_`, and most texts have none: to see that is much quicker.
  return text.includes("_") && text.search(keyLike) >= 0;
}

/** `text` in which keys show no more than their ends. */
export function hideKeys(text: string): string {
  return text.replace(keyLike, (key) => maskKey(key));
}
