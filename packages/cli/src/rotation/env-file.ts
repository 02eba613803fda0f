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
import { type KeyKind, maskKey, parseKey } from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import { visible } from "../output/visible.ts";
import { systemMessage } from "../system-message.ts";

export const keyVariables: Readonly<Record<KeyKind, string>> = {
  secret: "SAZABI_SECRET_KEY",
  public: "SAZABI_PUBLIC_KEY",
};

/** Sees, before anything is changed, that the file can be replaced and holds no other key than one of `masks`. */
export function checkEnvFile(path: string, variable: string, masks: readonly (string | undefined)[]): void {
  const target = targetOf(path);
  const content = read(target);
  try {
    accessSync(dirname(target), constants.W_OK);
  } catch (cause) {
    throw cannot("write", path, cause);
  }
  for (const { groups } of content.matchAll(assignment(variable))) {
    const value = groups?.value as string;
    if (/\$[\w({]/.test(value)) {
      throw new CliError(`${path} takes ${variable} from elsewhere: ${visible(value)}.`, {
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
 * Sets `variable` where it is assigned, or at the end, and leaves everything else as it is: comments, quotes, line ends,
 * mode and owner. In one step: a reader sees the old file or the new one.
 */
export function setInEnvFile(path: string, variable: string, value: string): void {
  const target = targetOf(path);
  const next = join(dirname(target), `.${basename(target)}.${randomUUID()}`);
  try {
    const before = statSync(target, { throwIfNoEntry: false });
    writeFileSync(next, assigned(read(target), variable, value), { mode: 0o600, flag: "wx", flush: true });
    if (before) {
      chmodSync(next, before.mode & 0o777);
      const { uid, gid } = statSync(next);
      if (uid !== before.uid || gid !== before.gid) chownSync(next, before.uid, before.gid);
    }
    renameSync(next, target);
  } catch (cause) {
    rmSync(next, { force: true });
    throw cannot("write", path, cause);
  }
}

/** Others than its owner may read it. */
export function isOpenToOthers(path: string): boolean {
  return process.platform !== "win32" && (statSync(path).mode & 0o044) !== 0;
}

function assigned(content: string, variable: string, value: string): string {
  let found = false;
  const replaced = content.replace(assignment(variable), (_, before: string, quote: string, _old, after = "") => {
    found = true;
    return before + quote + value + quote + after;
  });
  if (found) return replaced;
  const end = content.includes("\r\n") ? "\r\n" : "\n";
  const gap = content === "" || content.endsWith("\n") ? "" : end;
  return `${content}${gap}${variable}=${value}${end}`;
}

/** `NAME=value`, `export NAME="value"`, `NAME = 'value' # why`. */
function assignment(variable: string): RegExp {
  const start = `^(\\ufeff?[ \\t]*(?:export[ \\t]+)?${variable}[ \\t]*=[ \\t]*)`;
  return new RegExp(`${start}(["'\`]?)(?<value>.*?)\\2([ \\t]+#.*|[ \\t]*)$`, "gm");
}

/** A link stays a link. */
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
