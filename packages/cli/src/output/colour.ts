import type { Level } from "@sazabi/sdk";

/** Styles by meaning. Without colour, each returns its text unchanged. */
export interface Palette {
  bold(text: string): string;
  dim(text: string): string;
  error(text: string): string;
  warning(text: string): string;
  level(level: Level, text: string): string;
}

type When = "always" | "never" | "auto";

/**
 * Returns whether a stream is coloured. In order of precedence: `--color`, FORCE_COLOR, NO_COLOR, CLICOLOR_FORCE,
 * CLICOLOR=0 or TERM=dumb, and whether it is a terminal.
 */
export function resolveColour(
  flag: When | undefined,
  env: Readonly<Record<string, string | undefined>>,
  isTTY: boolean,
): boolean {
  if (flag === "always" || flag === "never") return flag === "always";
  if (env.FORCE_COLOR) return !["0", "false"].includes(env.FORCE_COLOR);
  if (env.NO_COLOR) return false;
  if (env.CLICOLOR_FORCE && env.CLICOLOR_FORCE !== "0") return true;
  if (env.CLICOLOR === "0" || env.TERM === "dumb") return false;
  return isTTY;
}

export async function openPalette(enabled: boolean): Promise<Palette> {
  if (!enabled) return plain;
  const { Chalk } = await import("chalk");
  // Chalk's own detection does not support NO_COLOR.
  const chalk = new Chalk({ level: 1 });
  const byLevel: Record<Level, (text: string) => string> = {
    trace: chalk.dim,
    debug: chalk.dim,
    info: chalk.cyan,
    warn: chalk.yellow,
    error: chalk.red,
    fatal: chalk.bold.red,
  };
  return {
    bold: chalk.bold,
    dim: chalk.dim,
    error: chalk.red,
    warning: chalk.yellow,
    level: (level, text) => (byLevel[level] ?? String)(text),
  };
}

const same = (text: string) => text;
const plain: Palette = { bold: same, dim: same, error: same, warning: same, level: (_, text) => text };
