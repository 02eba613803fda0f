import type { Command, CommanderError } from "commander";
import { usageError } from "./errors.ts";
import { topics } from "./help/topics.ts";
import { meantOption } from "./other-options.ts";

/** Returns the error for an invalid command line, with a suggestion. `whole` has every command. */
export function explainMistake(error: CommanderError, argv: readonly string[], whole: Command): Error {
  const command = commandOf(whole, argv);
  const [message = "", ...suggested] = error.message.replace(/^error: /, "").split("\n");
  const elsewhere =
    error.code === "commander.unknownCommand" ? meantElsewhere(error.message, command, whole) : undefined;
  const isUnknownOption = error.code === "commander.unknownOption";
  const option = isUnknownOption ? meantOption(error.message, argv, command) : undefined;
  const hints = elsewhere ? [elsewhere] : option ? [`Did you mean \`${option}\`?`] : suggested;
  if (isUnknownOption && option === undefined && command.registeredArguments.length > 0) {
    hints.push("To pass it as text, put -- before it.");
  }
  hints.push(`See \`${commandPath(command)} --help\`.`);
  return usageError(message, hints.join(" "));
}

/** Suggests a command for a valid word in the wrong place: `sazabi tail`, `sazabi keys get`, `sazabi environment`. */
function meantElsewhere(message: string, command: Command, whole: Command): string | undefined {
  const [, word = ""] = /unknown command '(.*)'/.exec(message) ?? [];
  if (word === "version") return "Did you mean `sazabi --version`?";
  if (topics.some(({ name }) => name === word)) return `Did you mean \`sazabi help ${word}\`?`;
  const below = [...shownBelow(command)].filter((one) => one.name() === word);
  const isInGroup = command.parent !== null;
  // Do not suggest `sazabi profiles delete` for `sazabi keys delete`.
  if (below.length === 0 && isInGroup && destructive.has(word)) return undefined;
  const meant = below.length > 0 ? below : [...shownBelow(whole)].filter((one) => one.name() === word);
  const names = meant.map(commandPath).map((name) => ({ name, words: name.split(" ").length }));
  const nearest = names.filter(({ words }) => words === Math.min(...names.map((one) => one.words)));
  // With more than three matches, the list of commands is more helpful.
  if (nearest.length === 0 || nearest.length > 3) return undefined;
  return `Did you mean ${nearest.map(({ name }) => `\`${name}\``).join(" or ")}?`;
}

/** Commands that delete or revoke something. */
const destructive: ReadonlySet<string> = new Set(["delete", "revoke", "revoke-all", "remove", "logout", "unset"]);

function* shownBelow(command: Command): Generator<Command> {
  const shown = command.createHelp().visibleCommands(command);
  for (const child of command.commands.filter((one) => shown.includes(one))) {
    yield child;
    yield* shownBelow(child);
  }
}

/** Returns the deepest command that the words of `argv` name. */
function commandOf(program: Command, argv: readonly string[]): Command {
  return argv.reduce((command, word) => childOf(command, word) ?? command, program);
}

function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((one) => one.name() === word || one.aliases().includes(word));
}

function commandPath(command: Command): string {
  return command.parent ? `${commandPath(command.parent)} ${command.name()}` : command.name();
}
