import { randomUUID } from "node:crypto";
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  existsSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { type KeyKind, maskKey, mayBeImportedKey, parseKey } from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import { systemMessage } from "../os-error-text.ts";

export const keyVariables: Readonly<Record<KeyKind, string>> = {
  secret: "SAZABI_SECRET_KEY",
  public: "SAZABI_PUBLIC_KEY",
};

/** The key whose secret is replaced in a file. */
export interface ReplacedKey {
  /** Its masked secrets: the current one, and the previous one during a rotation. */
  readonly masks: readonly string[];
  /** One of its secrets, if known. */
  readonly secret?: string | undefined;
}

/** Throws before any change if the file cannot be replaced, or if `variable` holds another key. */
export function checkEnvFile(path: string, variable: string, { masks }: ReplacedKey): void {
  const target = targetOf(path);
  const content = read(target);
  try {
    accessSync(dirname(target), constants.W_OK);
  } catch (cause) {
    throw cannot("write", path, cause);
  }
  for (const { groups } of content.matchAll(assignment(variable))) {
    const { value, quote } = groups as Assignment;
    // The value is not printed: a default in it, or a key that contains a `$`, is a secret. Single quotes expand
    // nothing.
    if (quote !== "'" && /\$[\w({]/.test(value)) {
      throw new CliError(`${path} takes ${variable} from elsewhere: its value expands another variable or a command.`, {
        code: "OTHER_KEY",
        hint: "Nothing was rotated. Name the file that holds the key itself.",
      });
    }
    if (!parseKey(value) || masks.includes(maskKey(value))) continue;
    throw new CliError(`${path} holds another key: ${variable} is ${maskKey(value)}.`, {
      code: "OTHER_KEY",
      hint: "Nothing was rotated. Name the file that holds the key you rotate.",
    });
  }
}

/**
 * Sets `variable`, and every other variable that holds a secret of the key. Adds `variable` at the end if there is
 * none. Preserves comments, quotes, line ends, mode and owner, and replaces the file atomically. Returns the names of
 * the variables.
 */
export function setInEnvFile(path: string, variable: string, value: string, key: ReplacedKey): readonly string[] {
  const target = targetOf(path);
  const next = join(dirname(target), `.${basename(target)}.${randomUUID()}`);
  try {
    const before = statSync(target, { throwIfNoEntry: false });
    const { content, names } = assign(read(target), variable, value, key);
    writeFileSync(next, content, { mode: 0o600, flag: "wx", flush: true });
    if (before) {
      chmodSync(next, before.mode & 0o777);
      const { uid, gid } = statSync(next);
      if (uid !== before.uid || gid !== before.gid) chownSync(next, before.uid, before.gid);
    }
    renameSync(next, target);
    return names;
  } catch (cause) {
    rmSync(next, { force: true });
    throw cannot("write", path, cause);
  }
}

/** Returns true if users other than the owner may read the file. */
export function isOpenToOthers(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o044) !== 0;
}

type Assignment = Readonly<Record<"before" | "name" | "quote" | "value" | "after", string>>;

interface Assigned {
  readonly content: string;
  readonly names: readonly string[];
}

function assign(content: string, variable: string, value: string, key: ReplacedKey): Assigned {
  const secrets = secretsIn(content, variable, key);
  const names = new Set<string>();
  const replaced = content.replace(assignment("[A-Za-z_][\\w.]*"), (line, ...matched) => {
    const { before, name, quote, value: old, after } = matched.at(-1) as Assignment;
    if (name !== variable && !secrets.has(old)) return line;
    names.add(name);
    return before + quote + value + quote + after;
  });
  if (names.size > 0) return { content: replaced, names: [...names] };
  const end = content.includes("\r\n") ? "\r\n" : "\n";
  const gap = content === "" || content.endsWith("\n") ? "" : end;
  return { content: `${content}${gap}${variable}=${value}${end}`, names: [variable] };
}

/** Returns the texts in the file that are secrets of the key. An imported key is recognized only by its whole text. */
function secretsIn(content: string, variable: string, { masks, secret }: ReplacedKey): ReadonlySet<string> {
  const values = [...content.matchAll(assignment("[A-Za-z_][\\w.]*"))].map(({ groups }) => groups ?? {});
  const secrets = values.flatMap(({ value = "", name }) => {
    if (parseKey(value)) return masks.includes(maskKey(value)) ? [value] : [];
    return name === variable && masks.some((mask) => fitsMask(mask, value)) ? [value] : [];
  });
  return new Set(secret === undefined ? secrets : [...secrets, secret]);
}

/** Returns true if an imported key may have the mask `mask`. The mask may lack the last four characters. */
function fitsMask(mask: string, value: string): boolean {
  const [prefix = "", lastFour = ""] = mask.split("…");
  return mayBeImportedKey(value) && value.startsWith(prefix) && (lastFour === "????" || value.endsWith(lastFour));
}

/**
 * Returns a pattern for `NAME=value`, `export NAME="value"` and `NAME = 'value' # why`, for names that match the
 * expression `name`.
 */
function assignment(name: string): RegExp {
  const start = `^(?<before>\\ufeff?[ \\t]*(?:export[ \\t]+)?(?<name>${name})[ \\t]*=[ \\t]*)`;
  return new RegExp(`${start}(?<quote>["'\`]?)(?<value>.*?)\\k<quote>(?<after>[ \\t]+#.*|[ \\t]*)$`, "gm");
}

/** Resolves a symbolic link, so that the link itself is not replaced. */
function targetOf(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw cannot("read", path, cause);
  }
}

function cannot(what: "read" | "write", path: string, cause: unknown): CliError {
  if (cause instanceof CliError) return cause;
  const reason = systemMessage(cause);
  return new CliError(`Cannot ${what} ${path} (${reason}).`, { code: "ENV_FILE", cause });
}
