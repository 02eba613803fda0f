import type { Command, Help } from "commander";
import { createWholeProgram } from "./program.ts";

/** The help page of a command. */
export interface CommandPage {
  /** `keys secret-keys list`; empty for `sazabi` itself. */
  readonly words: string;
  /** `sazabi keys list [options]` */
  readonly usage: string;
  readonly description: string;
  /** True for an alias, which is in no list of commands. */
  readonly hidden: boolean;
  readonly isGroup: boolean;
  /** `logs forward` */
  readonly aliases: readonly string[];
  /** Arguments and options: `--limit <n>`, `print at most this many (default: 100)`. */
  readonly parts: readonly (readonly [term: string, explanation: string])[];
  /** The help text after the options, without the examples. */
  readonly remarks: string;
  /** Shell command lines as printed, including a comment if there is one. */
  readonly examples: readonly string[];
}

/** Returns every help page at 80 columns, `sazabi --help` first, for documentation and tests. */
export async function readHelpPages(): Promise<readonly CommandPage[]> {
  const output = { isTTY: false, columns: undefined, rows: undefined, write: () => {}, drained: async () => {} };
  const context = { stdout: output, stderr: output } as unknown as Parameters<typeof createWholeProgram>[0]["context"];
  const open = () => {
    throw new Error("These commands are read and not run.");
  };
  return [...pagesOf(await createWholeProgram({ context, open }), false)];
}

function* pagesOf(command: Command, hidden: boolean): Generator<CommandPage> {
  const help = command.createHelp();
  yield pageOf(command, help, hidden);
  const shown = help.visibleCommands(command);
  for (const child of command.commands) yield* pagesOf(child, hidden || !shown.includes(child));
}

function pageOf(command: Command, help: Help, hidden: boolean): CommandPage {
  const after = textAfter(command);
  const words = wordsOf(command);
  return {
    words: words.join(" "),
    usage: ["sazabi", ...words, command.usage()].join(" "),
    description: command.description(),
    hidden,
    isGroup: command.commands.length > 0,
    aliases: command.aliases().map((alias) => [...words.slice(0, -1), alias].join(" ")),
    parts: [
      ...help
        .visibleArguments(command)
        .map((argument) => [help.argumentTerm(argument), help.argumentDescription(argument)] as const),
      ...help
        .visibleOptions(command)
        .filter(({ long }) => command.parent === null || long !== "--help")
        .map((option) => [help.optionTerm(option), help.optionDescription(option)] as const),
    ],
    remarks: after
      .filter((line) => !isExample(line))
      .join("\n")
      .trim(),
    examples: command.parent ? after.filter(isExample).map((line) => line.trim()) : [],
  };
}

/** Returns the lines of the help after the part that commander generates. */
function textAfter(command: Command): readonly string[] {
  const printed: string[] = [];
  command.configureOutput({ writeOut: (text) => void printed.push(text) });
  command.outputHelp();
  return printed.slice(1).join("").split("\n");
}

/** Only examples are indented. */
const isExample = (line: string) => line.startsWith("  ");

const wordsOf = (command: Command): readonly string[] =>
  command.parent ? [...wordsOf(command.parent), command.name()] : [];
