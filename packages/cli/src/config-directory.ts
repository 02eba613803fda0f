import { join } from "node:path";
import { CliError } from "./errors.ts";

/** Where settings live: `SAZABI_CONFIG_DIR`, else the platform's folder for them. */
export function configDirectory(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
  findHome: () => string,
): string {
  if (env.SAZABI_CONFIG_DIR) return env.SAZABI_CONFIG_DIR;
  if (platform === "win32")
    return join(env.APPDATA ?? join(homeOf(findHome), "AppData", "Roaming"), "sazabi", "Config");
  if (platform === "darwin") return join(homeOf(findHome), "Library", "Preferences", "sazabi");
  return join(env.XDG_CONFIG_HOME || join(homeOf(findHome), ".config"), "sazabi");
}

/** The code of the error when there is no folder for settings. */
export const noHome = "NO_HOME";

/** In a container there may be a user without one. */
function homeOf(findHome: () => string): string {
  try {
    return findHome();
  } catch (cause) {
    throw new CliError("This user has no home directory, so there is no place for settings.", {
      code: noHome,
      hint: "Set SAZABI_CONFIG_DIR to a folder for them, or HOME.",
      cause,
    });
  }
}
