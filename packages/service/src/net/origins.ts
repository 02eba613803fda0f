/*
 * Web origins (RFC 6454): scheme, host and port, as browsers send them in `Origin`.
 */

export interface OriginList {
  has(origin: string): boolean;
}

const wildcard = /^(https?:\/\/)\*\.(.+)$/i;

/**
 * Returns the canonical text of `https://app.example.com` or `https://*.example.com`; undefined for
 * any other text. `*.` matches one or more leading labels, as in a Content-Security-Policy, and cannot
 * cover a whole top-level domain.
 */
export function parseOriginPattern(text: string): string | undefined {
  const match = wildcard.exec(text.trim());
  if (!match) return originOf(text.trim());
  const parent = originOf(`${match[1]}${match[2]}`);
  if (!parent || !/\.[^.]*[a-z]/.test(new URL(parent).hostname)) return undefined;
  return parent.replace("://", "://*.");
}

/** Builds a list for repeated look-ups. `patterns` must be results of `parseOriginPattern`. */
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

/** Parses an origin without path, query or credentials. A trailing slash is accepted. */
function originOf(text: string): string | undefined {
  if (!/^https?:\/\/[^/?#@*\s]+\/?$/i.test(text) || !URL.canParse(text)) return undefined;
  return new URL(text).origin;
}
