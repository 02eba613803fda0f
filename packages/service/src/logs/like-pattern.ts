import { caseVariants, type TextPattern } from "@sazabi/sdk/protocol";

/** What together says whether a pattern covers a text, without case, in a database. */
export interface LikePattern {
  /** For a LIKE that folds ASCII alone. Other letters that have a case are any character in it. */
  readonly like: string;
  /** For what LIKE finds: holds those letters in each of their forms. Undefined where LIKE says it all. */
  readonly expression: string | undefined;
}

/** `literal` writes one character that has no other form as a regular expression of the database. */
export function likeOf(pattern: TextPattern, literal: (character: string) => string): LikePattern {
  const like = pattern.map(likePart).join("");
  if (!pattern.some((part) => typeof part === "string" && Array.from(part).some(hasOtherForms))) {
    return { like, expression: undefined };
  }
  const whole = pattern.map((part) => expressionPart(part, literal)).join("");
  // Runs at the ends are what a regular expression means anyway.
  return { like, expression: `^${whole}$`.replace(/^\^\.\*/, "").replace(/\.\*\$$/, "") };
}

/** Covers the JSON text of every list with an element that this pattern covers: most lists need not be taken apart. */
export function listWith(pattern: TextPattern): TextPattern {
  // What JSON writes in another way may be in a literal, and be what "any one" stands for.
  const literals = pattern.map((part) => (typeof part === "string" && isWrittenAsItIs(part) ? part : anything));
  return [anything, ...literals, anything];
}

const anything = { any: "many" } as const;

function isWrittenAsItIs(text: string): boolean {
  return JSON.stringify(text) === `"${text}"`;
}

/** True for a letter that a fold of ASCII alone does not find in its other forms. */
export function hasOtherForms(character: string): boolean {
  return character > "\x7f" && caseVariants(character).length > 1;
}

function likePart(part: TextPattern[number]): string {
  if (typeof part !== "string") return part.any === "one" ? "_" : "%";
  return Array.from(part, (character) => (hasOtherForms(character) ? "_" : character.replace(/[%_\\]/, "\\$&"))).join(
    "",
  );
}

function expressionPart(part: TextPattern[number], literal: (character: string) => string): string {
  if (typeof part !== "string") return part.any === "one" ? "." : ".*";
  return Array.from(part, (character) => {
    const variants = caseVariants(character);
    return variants.length > 1 ? `[${variants.join("")}]` : literal(character);
  }).join("");
}
