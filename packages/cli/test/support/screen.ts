import { spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { onTestFinished } from "vitest";
import { bin, isolated } from "./process.ts";
import { scratchDirectory } from "./terminal.ts";

export const hasTmux = spawnSync("tmux", ["-V"]).status === 0;

const deadlineMs = 10_000;

export interface Screen {
  /** A command line of `sazabi`, typed at the shell's prompt. */
  sazabi(argv: string): void;
  /** Any keys, by tmux's names: `C-c`, `Enter`. */
  press(...keys: readonly string[]): void;
  type(text: string): void;
  /** What is on the screen, without the spaces at the ends of lines. */
  shown(): string;
  /** Waits until the screen shows it, and gives the screen. */
  until(wanted: RegExp): Promise<string>;
  /** Waits for the shell to have the terminal back, and gives the exit code of the command. */
  exitCode(): Promise<number>;
  cursorIsVisible(): boolean;
  /** Every setting of the terminal, as `stty` tells them. */
  settings(): Promise<string>;
}

/** A real terminal of this size with a shell in it, in a tmux server of its own. */
export async function openScreen(columns: number, rows: number, env: Record<string, string>): Promise<Screen> {
  const home = scratchDirectory();
  const socket = `sazabi-${randomUUID().slice(0, 8)}`;
  const tmux = (...args: readonly string[]) => {
    const { status, stdout, stderr } = spawnSync("tmux", ["-L", socket, "-f", "/dev/null", ...args], {
      env: isolated(home, { TERM: "xterm-256color", LANG: "C.UTF-8", PS1: "$ ", TMUX_TMPDIR: home, ...env }),
      encoding: "utf8",
    });
    if (status !== 0) throw new Error(`tmux ${args[0]}: ${stderr}`);
    return stdout;
  };
  tmux("-u", "new-session", "-d", "-c", home, "-x", `${columns}`, "-y", `${rows}`, "/bin/sh");
  onTestFinished(() => void tmux("kill-server"));
  const keys = (...args: readonly string[]) => void tmux("send-keys", ...args);
  const shown = () => tmux("capture-pane", "-p").trimEnd();
  const until = async (wanted: RegExp) => {
    const deadline = Date.now() + deadlineMs;
    for (;;) {
      const screen = shown();
      if (wanted.test(screen)) return screen;
      if (Date.now() > deadline) throw new Error(`The screen never shows ${wanted}:\n${screen}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  let asked = 0;
  /** What the shell says when the command is over. */
  const ask = async (command: string) => {
    // Keys that are pressed before the shell reads again may be lost.
    await until(/(^|\n)(\^C)?[$#]$/);
    const mark = `${++asked}`;
    keys("-l", `echo "[${mark}: $(${command}) :${mark}]"`);
    keys("Enter");
    // Long lines wrap.
    const screen = await until(new RegExp(`\\[${mark}: [^$][\\s\\S]* :${mark}\\]`));
    return new RegExp(`\\[${mark}: ([^$][\\s\\S]*) :${mark}\\]`).exec(screen)?.[1]?.replaceAll("\n", "") ?? "";
  };
  await until(/[$#]/);
  return {
    sazabi: (argv) => {
      keys("-l", `clear; ${process.execPath} ${bin} ${argv}; code=$?`);
      keys("Enter");
    },
    press: (...names) => keys(...names),
    type: (text) => keys("-l", text),
    shown,
    until,
    exitCode: async () => Number(await ask('echo "$code"')),
    cursorIsVisible: () => tmux("display-message", "-p", "#{cursor_flag}").trim() === "1",
    settings: () => ask("stty -g"),
  };
}
