import { randomInt } from "node:crypto";
import { type KeyKind, type KeyStyle, makeKey } from "../../src/protocol/index.ts";

/** A well-formed key that no service knows. */
export function someKey(kind: KeyKind, style: KeyStyle = "live"): string {
  return makeKey(kind, style, (below) => randomInt(below));
}
