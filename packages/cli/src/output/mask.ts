import { maskKey } from "@sazabi/sdk";

const keyLike = /(?:[sp]k_live_|sazabi_(?:secret|public)_)[0-9A-Za-z]+/g;

/** Text in which every key, or what looks like one, shows only its ends: errors quote what was typed. */
export function maskKeys(text: string): string {
  return text.replace(keyLike, (key) => maskKey(key));
}
