import { join } from "node:path";
import { CliError } from "./errors.ts";

/** Returns the settings directory: `SAZABI_CONFIG_DIR`, or the platform's default. */
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

/** The error code if the user has no settings directory. */
export const noHome = "NO_HOME";

/** Returns the home directory. A user in a container may have none. */
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
