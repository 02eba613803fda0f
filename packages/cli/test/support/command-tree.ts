import { type Command, CommanderError } from "commander";
import { expect } from "vitest";
import type { CommandEnvironment } from "../../src/commands/command.ts";
import { createWholeProgram } from "../../src/program.ts";

const output = { isTTY: false, columns: undefined, rows: undefined, write: () => {}, drained: async () => {} };

/** Commands made with it are looked at and not run. */
const nowhere: CommandEnvironment = {
  context: { stdout: output, stderr: output } as unknown as CommandEnvironment["context"],
  open: () => expect.unreachable(),
};

export const wholeProgram = (): Promise<Command> => createWholeProgram(nowhere);

export function* descendants(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child;
    yield* descendants(child);
  }
}

/** What can be run, by its words: `keys secret-keys list`. Hidden commands too. */
export async function runnableCommands(): Promise<ReadonlyMap<string, Command>> {
  const all = [...descendants(await wholeProgram())].filter(({ commands }) => commands.length === 0);
  return new Map(all.map((command) => [wordsOf(command).join(" "), command]));
}

/** The words that lead to the command: `["keys", "secret-keys", "list"]`. */
export function wordsOf(command: Command): readonly string[] {
  return command.parent ? [...wordsOf(command.parent), command.name()] : [];
}

export interface ReadCommandLine {
  readonly flags: object;
  readonly arguments: readonly unknown[];
  readonly options: object;
}

/** What the command would be given; undefined for a command line with a mistake. */
export async function readCommandLine(argv: readonly string[]): Promise<ReadCommandLine | undefined> {
  const program = await wholeProgram();
  let read: ReadCommandLine | undefined;
  for (const command of descendants(program)) {
    if (command.commands.length > 0) continue;
    command.action((...given: unknown[]) => {
      read = { flags: program.opts(), arguments: given.slice(0, -2), options: command.opts() };
    });
  }
  await program.parseAsync([...argv], { from: "user" }).catch((error) => {
    if (!(error instanceof CommanderError)) throw error;
  });
  return read;
}
