/*
 * Web origins (RFC 6454): scheme, host and port, as browsers send them in `Origin`.
 */

export interface OriginList {
  has(origin: string): boolean;
}

const wildcard = /^(https?:\/\/)\*\.(.+)$/i;

/**
 * The canonical text of `https://app.example.com` or `https://*.example.com`; undefined for anything else. `*.` stands for
 * one or more labels in front, as in a Content-Security-Policy, and never for a whole top-level domain.
 */
export function parseOriginPattern(text: string): string | undefined {
  const match = wildcard.exec(text.trim());
  if (!match) return originOf(text.trim());
  const parent = originOf(`${match[1]}${match[2]}`);
  if (!parent || !/\.[^.]*[a-z]/.test(new URL(parent).hostname)) return undefined;
  return parent.replace("://", "://*.");
}

/** A list to be asked often: build it once. `patterns` as `parseOriginPattern` gives them. */
export function originList(patterns: readonly string[]): OriginList {
  const exact = new Set(patterns.filter((pattern) => !wildcard.test(pattern)));
  const families = patterns
    .map((pattern) => wildcard.exec(pattern))
    .filter((match) => match !== null)
    .map(([, scheme, parent]) => ({ scheme: scheme as string, ending: `.${parent}` }));
  return {
    has: (origin) =>
      exact.has(origin) ||
      families.some(
        ({ scheme, ending }) =>
          origin.startsWith(scheme) &&
          origin.endsWith(ending) &&
          /^[\w-]+(?:\.[\w-]+)*$/.test(origin.slice(scheme.length, -ending.length)),
      ),
  };
}

/** An origin and nothing more: no path, no query, no credentials. A trailing slash is forgiven. */
function originOf(text: string): string | undefined {
  if (!/^https?:\/\/[^/?#@*\s]+\/?$/i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).origin;
}
