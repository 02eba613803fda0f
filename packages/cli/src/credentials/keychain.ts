import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { withoutKeys } from "../child-environment.ts";
import { type CredentialStore, CredentialStoreError, type StoreFault } from "./store.ts";

export interface KeychainOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly platform: NodeJS.Platform;
  /** The timeout of the keychain. It is longer if a person can type its password. */
  readonly timeoutMs: number;
}

/** The request on the child's stdin. */
export interface KeychainRequest {
  readonly operation: "get" | "set" | "delete";
  readonly account: string;
  readonly key?: string;
}

/** The response on its stdout. */
export type KeychainAnswer =
  | { readonly ok: true; readonly key?: string | undefined; readonly deleted?: boolean }
  | { readonly ok: false; readonly message: string };

/**
 * Stores keys in the operating system's keychain. Each call runs in a child process that is killed on a timeout,
 * because a keychain that does not respond blocks the calling thread.
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

/** Returns true if there is a session bus. On Linux the keyring is accessed over D-Bus. */
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
    // A child that exits early does not read its stdin.
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
