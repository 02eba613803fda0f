import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseKey } from "@sazabi/sdk";
import type { StoreName } from "./credentials/store.ts";
import { CliError, usageError } from "./errors.ts";

/** What the CLI remembers between runs. Never a secret. */
export interface Settings {
  readonly activeProfile?: string;
  readonly profiles?: Readonly<Record<string, Profile>>;
}

export interface Profile {
  readonly apiUrl?: string;
  readonly projectId?: string;
  /** Set by a login: who logged in, and where the key went. */
  readonly login?: Login;
}

export interface Login {
  /** A key is only ever sent to the address it was checked at. */
  readonly apiUrl: string;
  readonly store: StoreName;
  readonly masked: string;
  readonly organization: { readonly id: string; readonly name: string };
}

export const defaultProfile = "default";

/** File name and `conf`'s name for it. */
const configName = "config";

export function settingsPath(directory: string): string {
  return join(directory, `${configName}.json`);
}

/** Reads without `conf`, which takes longer to load than most commands to run. */
export function readSettings(directory: string): Settings {
  const path = settingsPath(directory);
  if (!existsSync(path)) return {};
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Settings;
  } catch (cause) {
    throw new CliError(`Cannot read the settings in ${path}: ${(cause as Error).message}`, {
      code: "CONFIG_NOT_READABLE",
      hint: "Mend the file, or delete it and log in again.",
      cause,
    });
  }
}

/** Changes the settings on disk. Runs one after another when several processes do so at once. */
export async function updateSettings(directory: string, change: (settings: Settings) => Settings): Promise<Settings> {
  const { default: Conf } = await import("conf");
  const { ensurePrivateDirectory, withLock } = await import("./private-files.ts");
  return withLock(directory, () => {
    ensurePrivateDirectory(directory);
    const changed = change(readSettings(directory));
    const conf = new Conf<Record<string, unknown>>({
      cwd: directory,
      configName,
      projectName: "sazabi",
      projectSuffix: "",
      configFileMode: 0o600,
    });
    conf.store = { ...changed };
    return changed;
  });
}

export async function updateProfile(
  directory: string,
  name: string,
  change: (profile: Profile) => Profile,
): Promise<void> {
  await updateSettings(directory, (settings) => ({
    ...settings,
    profiles: { ...settings.profiles, [name]: change(findProfile(settings, name) ?? {}) },
  }));
}

export function findProfile(settings: Settings, name: string): Profile | undefined {
  return settings.profiles && Object.hasOwn(settings.profiles, name) ? settings.profiles[name] : undefined;
}

export function checkProfileName(name: string): string {
  if (/^[A-Za-z0-9][\w.-]{0,63}$/.test(name) && parseKey(name) === undefined) return name;
  throw usageError(`${JSON.stringify(name)} will not do as the name of a profile.`, "Use letters, digits, - and _.");
}
