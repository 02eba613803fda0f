import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
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
  /** The words of a program that runs the command line. */
  readonly through?: readonly string[];
}

/** A person with a gnome-keyring of their own, and no display. */
export function keyringOf(home: string) {
  const env = {
    XDG_RUNTIME_DIR: home,
    XDG_DATA_HOME: join(home, "share"),
    XDG_CACHE_HOME: join(home, "cache"),
  };
  const session = (script: string, argv: readonly string[], options: KeyringOptions = {}): Promise<Run> => {
    const { through = [] } = options;
    const child = spawn(
      "sh",
      ["-c", 'exec dbus-run-session -- sh -c "$@"', "sh", script, "sh", ...through, process.execPath, bin, ...argv],
      {
        env: isolated(home, { ...env, ...options.env }),
      },
    );
    child.stdin.on("error", () => {}).end(options.stdin ?? "");
    return finished(child);
  };
  return {
    /** The command line in a session whose keyring is open. */
    unlocked: (argv: readonly string[], options: KeyringOptions = {}) =>
      // On a machine that does much else, what is open may take its time, too.
      session(openKeyring, argv, { ...options, env: { SAZABI_KEYCHAIN_TIMEOUT: "30", ...options.env } }),
    /** The same keyring in a session in which nobody has typed its password. */
    locked: (argv: readonly string[], options?: KeyringOptions) => session('exec "$@"', argv, options),
  };
}

/**
 * Questions of this home's keyring are put on a display that nobody watches, for `seconds`: what should ask them starts,
 * and does not.
 */
export function putQuestionsWhereNobodyLooks(home: string, seconds: number): void {
  const services = join(home, "share", "dbus-1", "services");
  mkdirSync(services, { recursive: true });
  const name = "org.gnome.keyring.SystemPrompter";
  writeFileSync(
    join(services, `${name}.service`),
    `[D-BUS Service]\nName=${name}\nExec=/bin/sh -c "exec sleep ${seconds} >/dev/null 2>&1"\n`,
  );
}

/** The numbers of prctl, and of the calls that are refused; then the program. */
const seccomp = `
my ($prctl, @refused) = map { $_ + 0 } splice @ARGV, 0, 4;
my $n = @refused;
my $filter = pack("SCCL", 0x20, 0, 0, 0);
$filter .= pack("SCCL", 0x15, $n - $_, 0, $refused[$_]) for 0 .. $n - 1;
$filter .= pack("SCCL", 0x06, 0, 0, 0x7fff0000) . pack("SCCL", 0x06, 0, 0, 0x00050001);
my $program = pack("Sx6P", $n + 3, $filter);
syscall($prctl, 38, 1, 0, 0, 0) == 0 or die "no_new_privs: $!";
syscall($prctl, 22, 2, $program, 0, 0) == 0 or die "seccomp: $!";
exec @ARGV or die $!;
`;

/** Runs the words that follow it as a container does: the kernel's own key store (add_key and the like) says EPERM. */
export const withoutKernelKeys: readonly string[] | undefined = kernelKeyCalls();

function kernelKeyCalls(): readonly string[] | undefined {
  const calls = { x64: [157, 248, 249, 250], arm64: [167, 217, 218, 219] }[process.arch as string];
  const hasPerl = process.platform === "linux" && spawnSync("perl", ["-e", "1"]).status === 0;
  return calls && hasPerl ? ["perl", "-e", seccomp, ...calls.map(String)] : undefined;
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

/** Programs of the keyring that still run for this home when they have had their time to end. */
export async function leftRunning(home: string, withinMs = 10_000): Promise<string> {
  const deadline = Date.now() + withinMs;
  for (;;) {
    const found = runningFor(home);
    if (found === "" || Date.now() > deadline) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function runningFor(home: string): string {
  return spawnSync("sh", ["-c", `grep -lzs "^HOME=${home}$" /proc/[0-9]*/environ || true`]).stdout.toString();
}

/** Files below `home` that hold `text`. */
export function filesWith(home: string, text: string): string {
  return spawnSync("grep", ["-rlF", "--", text, home]).stdout.toString();
}
