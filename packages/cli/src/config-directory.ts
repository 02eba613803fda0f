import { join } from "node:path";

/** Where settings live: `SAZABI_CONFIG_DIR`, else the platform's folder for them. */
export function configDirectory(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
  home: string,
): string {
  if (env.SAZABI_CONFIG_DIR) return env.SAZABI_CONFIG_DIR;
  if (platform === "win32") return join(env.APPDATA ?? join(home, "AppData", "Roaming"), "sazabi", "Config");
  if (platform === "darwin") return join(home, "Library", "Preferences", "sazabi");
  return join(env.XDG_CONFIG_HOME || join(home, ".config"), "sazabi");
}
