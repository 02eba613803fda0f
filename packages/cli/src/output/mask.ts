import { maskKey, mayBeImportedKey, parseKey } from "@sazabi/sdk";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const keyLike = /(?:[sp]k_live_|sazabi_(?:secret|public)_)[0-9A-Za-z]+/g;

export function holdsKey(text: string): boolean {
  return text.search(keyLike) >= 0;
}

/** A run of letters and digits that nobody chose as a name. */
const randomLike = /(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12,}/;

/** Whether a name is likely a key, also an imported one. */
export function looksLikeKey(text: string): boolean {
  return holdsKey(text) || (mayBeImportedKey(text) && randomLike.test(text));
}

/** GitHub replaces it in everything that the job prints from now on; it reads stderr, too. */
export function hideInLogs({ env, stderr }: Pick<Context, "env" | "stderr">, key: string): void {
  if (env.GITHUB_ACTIONS === "true") stderr.write(`::add-mask::${key}\n`);
}

/**
 * Call it with a secret that the service has just made, before it is used. Throws when it is not a key: unknown text must
 * not be printed, or written to files that shells read. `wayOut` says what to do about the key then.
 */
export function receiveSecret(context: Pick<Context, "env" | "stderr">, value: unknown, wayOut: string): void {
  if (typeof value !== "string" || !parseKey(value)) {
    throw new CliError(
      "The service answered with a secret that is no key of Sazabi. It was not printed or handed over.",
      {
        code: "UNEXPECTED_ANSWER",
        hint: `${wayOut} \`sazabi doctor\` checks which service this is.`,
      },
    );
  }
  hideInLogs(context, value);
}

/** Keys that this run was given and that do not look like ours. */
const given = new Set<string>();

/** From now on `maskKeys` masks this text, too, if it may be an imported key. */
export function maskImported(key: string): void {
  // An id is no key, and is what messages tell people to use.
  if (mayBeImportedKey(key) && !uuid.test(key)) given.add(key);
}

/** Text in which every key, or what looks like one, shows only its ends: errors quote what was typed. */
export function maskKeys(text: string): string {
  const masked = text.replace(keyLike, (key) => maskKey(key));
  return [...given].reduce((rest, key) => rest.replaceAll(key, maskKey(key)), masked);
}

/** What may be a key or a name, for people. Without a digit and a space it is a name rather than a key. */
export function shownName(text: string): string {
  return mayBeImportedKey(text) && /\d/.test(text) ? maskKey(text) : text;
}
