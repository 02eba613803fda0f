import { spawn } from "node:child_process";
import { withoutKeys } from "./child-environment.ts";

type Env = Readonly<Record<string, string | undefined>>;

/** An opener that has not failed after this time is taken to have succeeded. */
const failsWithinMs = 1500;

/** Returns true if the platform's opener accepted the URL. Runs no shell and passes no key in the environment. */
export async function openInBrowser(url: string, env: Env, platform: NodeJS.Platform): Promise<boolean> {
  const [program, ...args] = openerOf(env, platform);
  if (program === undefined) return false;
  const child = spawn(program, [...args, url], { env: withoutKeys(env), stdio: "ignore", detached: true });
  const accepted = await new Promise<boolean>((resolve) => {
    const timer = setTimeout(() => resolve(true), failsWithinMs);
    const decide = (accepted: boolean) => {
      clearTimeout(timer);
      resolve(accepted);
    };
    child.once("error", () => decide(false)).once("exit", (code) => decide(code === 0));
  });
  child.unref();
  return accepted;
}

function openerOf(env: Env, platform: NodeJS.Platform): readonly string[] {
  if (platform === "darwin") return ["open"];
  // `start` would need a shell, which interprets & and ^ in URLs.
  if (platform === "win32") return ["rundll32", "url.dll,FileProtocolHandler"];
  const hasDisplay = Boolean(env.DISPLAY || env.WAYLAND_DISPLAY || env.BROWSER);
  return hasDisplay ? ["xdg-open"] : [];
}
