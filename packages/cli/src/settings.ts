import { existsSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { maskKey, mayBeImportedKey } from "@sazabi/sdk";
import { type StoreName, storeNames } from "./credentials/store.ts";
import { CliError, usageError } from "./errors.ts";
import { systemMessage } from "./os-error-text.ts";
import { looksLikeKey } from "./output/mask.ts";

/** Settings stored between runs. They contain no secrets. */
export interface Settings {
  readonly activeProfile?: string;
  readonly profiles?: Readonly<Record<string, Profile>>;
}

export interface Profile {
  readonly apiUrl?: string;
  readonly projectId?: string;
  /** Set by a login: the organization, and where the key is stored. */
  readonly login?: Login;
}

export interface Login {
  /** A key is sent only to the address that it was verified at. */
  readonly apiUrl: string;
  readonly store: StoreName;
  readonly masked: string;
  readonly organization: { readonly id: string; readonly name: string };
}

export const defaultProfile = "default";

/** The file name, in the sense of `conf`. */
const configName = "config";

export function settingsPath(directory: string): string {
  return join(directory, `${configName}.json`);
}

/** Reads the settings without `conf`, which loads slower than most commands run. */
export function readSettings(directory: string): Settings {
  const path = settingsPath(directory);
  if (!existsSync(path)) return {};
  try {
    const text = readFileSync(path, "utf8").replace(/^\ufeff/, "");
    return text.trim() === "" ? {} : checkSettings(JSON.parse(text));
  } catch (cause) {
    const { errno, message } = cause as NodeJS.ErrnoException;
    if (errno === undefined) throw new BrokenSettings(path, message, cause);
    throw new CliError(`Cannot read the settings in ${path} (${systemMessage(cause)}).`, {
      code: "CONFIG_NOT_READABLE",
      hint: "Make the file readable, or delete it and log in again.",
      cause,
    });
  }
}

/** The settings are readable but invalid. */
export class BrokenSettings extends CliError {
  constructor(path: string, reason: string, cause: unknown) {
    super(`Cannot read the settings in ${path} (${reason}).`, {
      code: "CONFIG_NOT_READABLE",
      hint: "Correct the file, or log in again: `sazabi auth login` renames it and creates a new one.",
      cause,
    });
  }
}

/** Renames invalid settings, so that new ones can be written. Returns their new path. */
export async function setAsideBroken(directory: string): Promise<string | undefined> {
  const { withLock } = await import("./private-files.ts");
  return withLock(directory, () => {
    try {
      readSettings(directory);
      return undefined;
    } catch (error) {
      if (!(error instanceof BrokenSettings)) throw error;
    }
    const aside = freeName(directory);
    renameSync(settingsPath(directory), aside);
    return aside;
  });
}

function freeName(directory: string): string {
  for (let number = 1; ; number++) {
    const path = join(directory, `${configName}.broken${number === 1 ? "" : `-${number}`}.json`);
    if (!existsSync(path)) return path;
  }
}

/** Validates the settings, because users and other programs may have edited the file. */
function checkSettings(value: unknown): Settings {
  const settings = objectAt("It", value);
  checkTexts("", settings, ["activeProfile"]);
  for (const [name, entry] of Object.entries(objectAt("profiles", settings.profiles ?? {}))) {
    const place = `profiles.${name}`;
    const profile = objectAt(place, entry);
    checkTexts(`${place}.`, profile, ["apiUrl", "projectId"]);
    if (profile.login === undefined) continue;
    const login = objectAt(`${place}.login`, profile.login);
    checkTexts(`${place}.login.`, login, ["apiUrl", "store", "masked"], true);
    if (!storeNames.includes(login.store as StoreName)) {
      throw new TypeError(`${place}.login.store is neither ${storeNames.join(" nor ")}`);
    }
    const organization = objectAt(`${place}.login.organization`, login.organization);
    checkTexts(`${place}.login.organization.`, organization, ["id", "name"], true);
  }
  return settings as Settings;
}

function objectAt(place: string, value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TypeError(`${place} is no object`);
}

function checkTexts(
  place: string,
  object: Readonly<Record<string, unknown>>,
  names: readonly string[],
  required = false,
): void {
  for (const name of names) {
    if (typeof object[name] === "string" || (object[name] === undefined && !required)) continue;
    throw new TypeError(`${place}${name} is no text`);
  }
}

/** Updates the settings on disk. Concurrent updates of several processes are serialized. */
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
      // `conf` cannot parse an empty file or a byte order mark, which `readSettings` accepts.
      clearInvalidConfig: true,
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

/** `known` says whether a profile has the name: one that was made before may look like a key. */
export function checkProfileName(name: string, known = (): boolean => false): string {
  if (looksLikeKey(name) && !known()) {
    throw usageError(
      "The profile name looks like a key.",
      "Choose a name such as `staging`. `sazabi auth login --key -` takes the key, from stdin.",
    );
  }
  if (/^[A-Za-z0-9][\w.-]{0,63}$/.test(name)) return name;
  const shown = mayBeImportedKey(name) ? maskKey(name) : name;
  throw usageError(`Invalid profile name ${JSON.stringify(shown)}.`, "Use letters, digits, - and _.");
}
