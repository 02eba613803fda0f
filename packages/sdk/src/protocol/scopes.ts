/**
 * What a secret key may do, `verb:noun`. `*` is everything and the default (spec/1: "full access").
 * A public key has no scopes: it can write logs to its project and nothing else.
 */
export const scopes = [
  "read:logs",
  "read:queries",
  "write:queries",
  "execute:queries",
  "read:keys",
  "write:keys",
  "read:projects",
  "write:projects",
  "read:organizations",
  "read:threads",
  "write:threads",
  "read:audit",
] as const;

export type Scope = (typeof scopes)[number];
export type GrantedScope = Scope | "*";

/** True when `granted` includes `needed`. */
export function hasScope(granted: readonly string[], needed: Scope): boolean {
  return granted.includes("*") || granted.includes(needed);
}
