import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CliError } from "../errors.ts";
import { systemMessage } from "../os-error-text.ts";
import { withLock, writePrivateFile } from "../private-files.ts";
import type { CredentialStore } from "./store.ts";

type Keys = Readonly<Record<string, string>>;

/** Stores keys in plain text, in a file that only its owner can read. Used only on explicit request. */
export function fileStore(directory: string): CredentialStore {
  const path = join(directory, "credentials.json");
  return {
    name: "file",
    description: `plain text in ${path}`,

    async get(account) {
      const keys = readKeys(path);
      return Object.hasOwn(keys, account) ? keys[account] : undefined;
    },

    set: (account, key) =>
      withLock(directory, () => writePrivateFile(path, asText({ ...readKeys(path), [account]: key }))),

    delete: (account) =>
      withLock(directory, () => {
        const { [account]: storedKey, ...rest } = readKeys(path);
        if (storedKey === undefined) return false;
        writePrivateFile(path, asText(rest));
        return true;
      }),
  };
}

function readKeys(path: string): Keys {
  if (!existsSync(path)) return {};
  try {
    const keys: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (isKeys(keys)) return keys;
    throw new TypeError("It holds something else.");
  } catch (cause) {
    // A parse error may quote the file, which holds keys.
    const isRead = (cause as NodeJS.ErrnoException).code === undefined;
    const reason = isRead ? "it does not hold keys, as JSON" : systemMessage(cause);
    throw new CliError(`Cannot read ${path} (${reason}).`, {
      code: "CREDENTIALS_NOT_READABLE",
      hint: "Delete the file and log in again.",
    });
  }
}

function isKeys(value: unknown): value is Keys {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  return isObject && Object.values(value).every((key) => typeof key === "string");
}

const asText = (keys: Keys) => `${JSON.stringify(keys, null, 2)}\n`;
