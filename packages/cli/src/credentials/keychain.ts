import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { withoutKeys } from "../child-environment.ts";
import { type CredentialStore, CredentialStoreError, type StoreFault } from "./store.ts";

export interface KeychainOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  /** How long the keychain may take. Longer when a person is there to type its password. */
  readonly timeoutMs: number;
}

/** What goes to the child on its stdin. */
export interface KeychainRequest {
  readonly operation: "get" | "set" | "delete";
  readonly account: string;
  readonly key?: string;
}

/** What comes back on its stdout. */
export type KeychainAnswer =
  | { readonly ok: true; readonly key?: string | undefined; readonly deleted?: boolean }
  | { readonly ok: false; readonly message: string };

/**
 * The keychain of the operating system. Each call runs in a child process that is killed when its time is up: a
 * keychain that does not answer blocks the thread that asks it, and nothing inside a process can undo that.
 */
export function keychainStore(options: KeychainOptions): CredentialStore {
  return {
    name: "keychain",
    description: keychainNames[options.platform] ?? "the Secret Service keyring",

    check: () => requireSessionBus(options),

    async get(account) {
      const answer = await ask(options, { operation: "get", account });
      return answer.key;
    },

    async set(account, key) {
      await ask(options, { operation: "set", account, key });
    },

    async delete(account) {
      const answer = await ask(options, { operation: "delete", account });
      return answer.deleted ?? false;
    },
  };
}

const keychainNames: Partial<Record<NodeJS.Platform, string>> = {
  darwin: "the macOS keychain",
  win32: "the Windows Credential Manager",
};

async function ask(options: KeychainOptions, request: KeychainRequest) {
  requireSessionBus(options);
  const output = await runChild(options, request);
  const answer = parseAnswer(output);
  if (answer.ok) return answer;
  throw new CredentialStoreError(faultOf(answer.message), `The OS keychain says: ${answer.message}`);
}

function requireSessionBus(options: KeychainOptions): void {
  if (hasSessionBus(options)) return;
  throw new CredentialStoreError("unavailable", "There is no OS keychain here: this session has no D-Bus.");
}

/** On Linux the keyring is reached over D-Bus, and without a bus there is nobody to ask. */
function hasSessionBus({ env, platform }: KeychainOptions): boolean {
  if (platform === "darwin" || platform === "win32") return true;
  if (env.DBUS_SESSION_BUS_ADDRESS) return true;
  return Boolean(env.XDG_RUNTIME_DIR) && existsSync(`${env.XDG_RUNTIME_DIR}/bus`);
}

function runChild({ env, timeoutMs }: KeychainOptions, request: KeychainRequest): Promise<string> {
  const program = join(import.meta.dirname, "keychain-child.cjs");
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [program], {
      env: withoutKeys(env),
      stdio: ["pipe", "pipe", "ignore"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    // A child that dies early does not read its question.
    child.stdin.on("error", () => {}).end(JSON.stringify(request));
    child.on("error", (cause) =>
      reject(new CredentialStoreError("unavailable", "Cannot ask the OS keychain.", { cause })),
    );
    child.on("close", (_, signal) => {
      if (signal === null) return resolve(output);
      reject(new CredentialStoreError("timeout", `The OS keychain did not answer within ${timeoutMs / 1000} s.`));
    });
  });
}

function parseAnswer(output: string): KeychainAnswer {
  try {
    return JSON.parse(output) as KeychainAnswer;
  } catch {
    return { ok: false, message: "the keychain library did not load or crashed" };
  }
}

function faultOf(message: string): StoreFault {
  return /dismissed|is ?locked|locked (collection|keychain)|interaction is not allowed|user cancel/i.test(message)
    ? "locked"
    : "unavailable";
}
