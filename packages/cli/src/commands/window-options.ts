import type { Command } from "commander";

export interface WindowOptions {
  readonly since?: string;
  readonly from?: string;
  readonly to?: string;
}

export function addWindowOptions(command: Command): Command {
  return command
    .option("--since <time>", "from this long ago (30m, 1h, 2d, 1w) on")
    .option("--from <time>", "from this time on (2026-11-22, 2026-11-22T08:30, …Z, 1h)")
    .option("--to <time>", "end of the range (exclusive)");
}
