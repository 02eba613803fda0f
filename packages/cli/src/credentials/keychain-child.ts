// A separate process, started by keychain.ts, which kills it on a timeout. Reads one JSON request from stdin and writes
// one JSON response to stdout. A key is never an argument.
import { readFileSync, writeSync } from "node:fs";
import type { KeychainAnswer, KeychainRequest } from "./keychain.ts";

const service = "sazabi-cli";

async function answer({ operation, account, key }: KeychainRequest): Promise<KeychainAnswer> {
  const { Entry } = await import("@napi-rs/keyring");
  // Without this option, Linux without a keyring falls back to the kernel keyring, which is lost on reboot.
  const entry = new Entry(service, account, { linux: { store: "secret-service" } });
  switch (operation) {
    case "get":
      return { ok: true, key: entry.getPassword() ?? undefined };
    case "set":
      entry.setPassword(key ?? "");
      return { ok: true };
    case "delete":
      return { ok: true, deleted: entry.deletePassword() };
  }
}

async function main(): Promise<void> {
  let result: KeychainAnswer;
  try {
    result = await answer(JSON.parse(readFileSync(0, "utf8")) as KeychainRequest);
  } catch (error) {
    result = { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
  writeSync(1, JSON.stringify(result));
  // The keychain library may keep a connection open.
  process.exit(0);
}

void main();
