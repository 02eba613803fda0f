import { maskKey, mayBeImportedKey, parseKey } from "@sazabi/sdk";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const keyLike = /(?:[sp]k_live_|sazabi_(?:secret|public)_)[0-9A-Za-z]+/g;

export function holdsKey(text: string): boolean {
  return text.search(keyLike) >= 0;
}

/** A run of letters and digits that looks random. */
const randomLike = /(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{12,}/;

/** Returns true if a name is probably a key, possibly an imported one. */
export function looksLikeKey(text: string): boolean {
  return holdsKey(text) || (mayBeImportedKey(text) && randomLike.test(text));
}

/** Registers the key with GitHub Actions, which masks it in all later output of the job. GitHub reads stderr, too. */
export function hideInLogs({ env, stderr }: Pick<Context, "env" | "stderr">, key: string): void {
  if (env.GITHUB_ACTIONS === "true") stderr.write(`::add-mask::${key}\n`);
}

/**
 * Validates and masks a secret that the service has just created; call it before any use. Throws if it is not a key,
 * because unknown text must not be printed or written to files that shells read. `wayOut` is the hint of that error.
 */
export function receiveSecret(context: Pick<Context, "env" | "stderr">, value: unknown, wayOut: string): void {
  if (typeof value !== "string" || !parseKey(value)) {
    throw new CliError(
      "The service answered with a secret that is not a Sazabi key. It was not printed or delivered.",
      {
        code: "UNEXPECTED_ANSWER",
        hint: `${wayOut} \`sazabi doctor\` checks which service this is.`,
      },
    );
  }
  hideInLogs(context, value);
}

/** Keys of this run that do not have Sazabi's format. */
const given = new Set<string>();

/** Makes `maskKeys` mask this text as well, if it may be an imported key. */
export function maskImported(key: string): void {
  // An id is not secret, and messages tell users to copy it.
  if (mayBeImportedKey(key) && !uuid.test(key)) given.add(key);
}

/** Masks every key, and everything that looks like one, because errors quote user input. */
export function maskKeys(text: string): string {
  const masked = text.replace(keyLike, (key) => maskKey(key));
  return [...given].reduce((rest, key) => rest.replaceAll(key, maskKey(key)), masked);
}

/** Returns a text that may be a key or a name, masked unless it contains a space or no digit. */
export function shownName(text: string): string {
  return mayBeImportedKey(text) && /\d/.test(text) ? maskKey(text) : text;
}
