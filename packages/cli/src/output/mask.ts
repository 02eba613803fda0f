import { maskKey } from "@sazabi/sdk";
import type { Context } from "../context.ts";

const keyLike = /(?:[sp]k_live_|sazabi_(?:secret|public)_)[0-9A-Za-z]+/g;

export function holdsKey(text: string): boolean {
  return text.search(keyLike) >= 0;
}

/** GitHub replaces it in everything that the job prints from now on; it reads stderr, too. */
export function hideInLogs({ env, stderr }: Pick<Context, "env" | "stderr">, key: string): void {
  if (env.GITHUB_ACTIONS === "true") stderr.write(`::add-mask::${key}\n`);
}

/** Text in which every key, or what looks like one, shows only its ends: errors quote what was typed. */
export function maskKeys(text: string): string {
  return text.replace(keyLike, (key) => maskKey(key));
}
