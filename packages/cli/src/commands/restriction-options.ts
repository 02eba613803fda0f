import type { KeyKind } from "@sazabi/sdk";
import type { Command } from "commander";
import { usageError } from "../errors.ts";
import { collectList } from "./repeatable.ts";

/** The restrictions of a key by address and origin. */
export interface FenceOptions {
  readonly allowAddress?: readonly string[];
  readonly allowOrigin?: readonly string[];
}

/** The restrictions in a request. An omitted member is unchanged. */
interface Fence {
  readonly allowedAddresses?: readonly string[];
  readonly allowedOrigins?: readonly string[];
}

/** Clears a list. */
const anywhere = "any";

export function addFenceOptions(command: Command, kinds: readonly KeyKind[], clearable: boolean): Command {
  const clear = clearable ? `; ${anywhere} allows all again` : "";
  command.option(
    "--allow-address <addresses>",
    `allow use only from these addresses and networks, comma-separated: 203.0.113.9,10.0.0.0/8${clear}`,
    collectList,
  );
  if (kinds.includes("public")) {
    command.option(
      "--allow-origin <origins>",
      `allow use only on web pages of these origins, public keys: https://app.example.com,https://*.example.com${clear}`,
      collectList,
    );
  }
  return command;
}

export function readFence(kind: KeyKind, { allowAddress, allowOrigin }: FenceOptions): Fence {
  if (kind === "secret" && allowOrigin) {
    throw usageError("--allow-origin is for public keys: a secret key must never be in a web page.");
  }
  return {
    ...(allowAddress ? { allowedAddresses: readList("--allow-address", allowAddress) } : {}),
    ...(allowOrigin ? { allowedOrigins: readList("--allow-origin", allowOrigin) } : {}),
  };
}

/** Splits and trims the entries. The service validates addresses and origins. */
function readList(option: string, entries: readonly string[]): readonly string[] {
  if (entries.includes("")) throw usageError(`${option}: an entry is empty.`);
  if (!entries.includes(anywhere)) return entries;
  if (entries.length > 1) throw usageError(`${option}: ${anywhere} cannot be combined with other entries.`);
  return [];
}
