import { usageError } from "../errors.ts";

/** Returns the name of a new key or project, from the arguments or from `--name`. */
export function readName(what: "key" | "project", words: readonly string[], option: string | undefined): string {
  if (words.length > 0 && option !== undefined) throw usageError(`Name the ${what} once: with --name, or without.`);
  const name = option ?? words.join(" ");
  if (name.trim() === "")
    throw usageError(`The ${what} needs a name.`, `Say what it is for: --name "${examples[what]}".`);
  return name;
}

const examples = { key: "CI/CD pipeline", project: "checkout" };
