import { spawn, spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { bin, finished, isolated } from "./process.ts";
import type { Run } from "./terminal.ts";

/** Why a real keyring cannot be had here; undefined when it can. */
export const missing = ["dbus-run-session", "gnome-keyring-daemon"].filter((program) => {
  return spawnSync("sh", ["-c", `command -v ${program}`]).status !== 0;
});

export interface KeyringOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
}

/** A person with a gnome-keyring of their own, and no display. */
export function keyringOf(home: string) {
  const env = {
    XDG_RUNTIME_DIR: home,
    XDG_DATA_HOME: join(home, "share"),
    XDG_CACHE_HOME: join(home, "cache"),
  };
  const session = (script: string, argv: readonly string[], options: KeyringOptions = {}): Promise<Run> => {
    const child = spawn(
      "sh",
      ["-c", 'exec dbus-run-session -- sh -c "$@"', "sh", script, "sh", process.execPath, bin, ...argv],
      {
        env: isolated(home, { ...env, ...options.env }),
      },
    );
    child.stdin.on("error", () => {}).end(options.stdin ?? "");
    return finished(child);
  };
  return {
    /** The command line in a session whose keyring is open. */
    unlocked: (argv: readonly string[], options?: KeyringOptions) => session(openKeyring, argv, options),
    /** The same keyring in a session in which nobody has typed its password. */
    locked: (argv: readonly string[], options?: KeyringOptions) => session('exec "$@"', argv, options),
  };
}

/**
 * Opens the keyring, runs the command, and ends the daemon by its process id: a daemon that outlives its bus stays.
 * The password has no line end and is not empty; with an empty one no collection is made.
 */
const openKeyring = `
printf test-password | gnome-keyring-daemon --unlock --foreground --components=secrets >/dev/null 2>&1 &
daemon=$!
trap 'kill "$daemon" 2>/dev/null' EXIT
i=0
until [ -S "$XDG_RUNTIME_DIR/keyring/control" ] && [ -f "$XDG_DATA_HOME/keyrings/login.keyring" ]; do
  i=$((i + 1)); [ "$i" -lt 200 ] || { echo "the keyring did not start" >&2; exit 70; }; sleep 0.05
done
"$@"
`;

/** The address of a bus that takes connections and never answers. */
export async function hungBus(home: string): Promise<string> {
  mkdirSync(home, { recursive: true });
  const path = join(home, "hung-bus");
  const sockets = new Set<{ destroy(): void }>();
  const server = createServer((socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `unix:path=${path}`;
}

/** Programs of the keyring that still run for this home. */
export function leftRunning(home: string): string {
  return spawnSync("sh", ["-c", `grep -lzs "^HOME=${home}$" /proc/[0-9]*/environ || true`]).stdout.toString();
}

/** Files below `home` that hold `text`. */
export function filesWith(home: string, text: string): string {
  return spawnSync("grep", ["-rlF", "--", text, home]).stdout.toString();
}
