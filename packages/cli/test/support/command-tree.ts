import type { Command } from "commander";
import { expect } from "vitest";
import { groups } from "../../src/commands/groups.ts";
import { createProgram } from "../../src/run.ts";

/** The whole tree, every group loaded. */
export async function wholeProgram(): Promise<Command> {
  const output = { isTTY: false, columns: undefined, rows: undefined, write: () => {}, drained: async () => {} };
  const context = { stdout: output, stderr: output } as unknown as Parameters<typeof createProgram>[0]["context"];
  const opening = { context, open: () => expect.unreachable() };
  const program = createProgram(opening);
  for (const { name, load } of groups) {
    const group = program.commands.find((command) => command.name() === name) as Command;
    (await load())(group, opening);
  }
  return program;
}

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

function wordsOf(command: Command): readonly string[] {
  return command.parent ? [...wordsOf(command.parent), command.name()] : [];
}
