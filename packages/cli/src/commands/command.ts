import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { Session } from "../session.ts";

/** Dependencies of a command. */
export interface CommandEnvironment {
  readonly context: Context;
  /** Opens the session. Call it in the action, after the global options are parsed. */
  readonly open: () => Session;
}

export type AddCommands = (group: Command, opening: CommandEnvironment) => void;
