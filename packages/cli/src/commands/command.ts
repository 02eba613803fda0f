import type { Command } from "commander";
import type { Context } from "../context.ts";
import type { Session } from "../session.ts";

/** What a command is made with. */
export interface CommandEnvironment {
  readonly context: Context;
  /** The session; its flags are known once the command line is read, so it is opened by the action. */
  readonly open: () => Session;
}

export type AddCommands = (group: Command, opening: CommandEnvironment) => void;
