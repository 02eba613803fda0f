import { Command, CommanderError } from "commander";
import type { CommandEnvironment } from "./commands/command.ts";
import { groups } from "./commands/command-registry.ts";
import { isRepeatable } from "./commands/repeatable.ts";
import { exits } from "./errors.ts";
import { addGlobalOptions } from "./global-options.ts";
import { reflow } from "./help/reflow.ts";
import { listTopics, refuseMisspeltTopic, topicPage } from "./help/topics.ts";
import type { Session } from "./session.ts";
import { version } from "./version.ts";

/**
 * Runs a command line and returns its exit code. `begin` is called first, with the values of the global options and of
 * the command's options. Throws on an invalid command line.
 */
export async function runProgram(
  argv: readonly string[],
  opening: CommandEnvironment,
  begin: (flags: object, options: object) => Session,
): Promise<number> {
  const program = createProgram(opening);
  program.hook("preSubcommand", async (_, command) => {
    await addCommands(command, opening);
  });
  program.hook("preAction", (_, command) => begin(program.opts(), command.opts()).checkFormat());
  try {
    const helpProgram = createProgram(opening);
    const subject = helpSubject(helpProgram, argv);
    if (subject && (await printTopic(helpProgram, subject, opening, begin))) return exits.ok.code;
    await program.parseAsync(subject ? await helpLine(subject, opening) : [...argv], { from: "user" });
    return exits.ok.code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // The help or the version was requested and printed.
    if (error.exitCode === 0) return exits.ok.code;
    // A group without a command prints its help.
    if (error.code === "commander.help") return exits.usage.code;
    const command = commandOf(program, argv);
    begin(program.opts(), command.opts());
    const { explainMistake } = await import("./command-mistake.ts");
    throw explainMistake(error, argv, await createWholeProgram(opening));
  }
}

/**
 * Returns the words after `help`, if the command line asks for help. Without any word, the caller lists the commands.
 */
function helpSubject(program: Command, argv: readonly string[]): readonly string[] | undefined {
  if (argv.length === 0) return [];
  if (!argv.includes("help")) return undefined;
  const { operands, unknown } = program.parseOptions([...argv]);
  return operands[0] === "help" && unknown.length === 0 ? operands.slice(1) : undefined;
}

/** Prints a help topic. Returns false if there is no such topic. */
async function printTopic(
  program: Command,
  [word = ""]: readonly string[],
  { context }: CommandEnvironment,
  begin: (flags: object, options: object) => Session,
): Promise<boolean> {
  const page = await topicPage(word, helpOf(program));
  if (page) {
    context.stdout.write(page);
    return true;
  }
  begin(program.opts(), {});
  const commands = groups.map(({ name }) => name);
  if (word !== "" && !commands.includes(word)) refuseMisspeltTopic(word, commands);
  return false;
}

/** Returns a help formatter with the width of the output. */
function helpOf(program: Command) {
  const help = program.createHelp();
  const { getOutHelpWidth } = program.configureOutput();
  help.prepareContext({ helpWidth: getOutHelpWidth?.() ?? 80 });
  return help;
}

/**
 * Converts `help keys rotate` to `keys rotate --help`. Commander's own `help` reads one word, before the group has its
 * commands. Words that name no command are unchanged and produce the usual error.
 */
async function helpLine(words: readonly string[], opening: CommandEnvironment): Promise<string[]> {
  const path = words[0] === "help" ? words.slice(1) : words;
  let command = await createWholeProgram(opening);
  for (const [i, word] of path.entries()) {
    if (command.commands.length === 0) break;
    const next = childOf(command, word);
    if (!next) return path.slice(0, i + 1);
    command = next;
  }
  return [...path, "--help"];
}

/** Returns the program with all groups. A group's commands are added when the command line names it. */
export function createProgram(opening: CommandEnvironment): Command {
  const { stdout, stderr } = opening.context;
  const program = new Command("sazabi")
    .description("API keys, and the logs sent with them.")
    .version(`sazabi ${version}`, "-v, --version", "print the version")
    .helpOption("-h, --help", "print help for a command")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true, minWidthToWrap: 20 })
    .configureOutput({
      writeOut: (text) => stdout.write(reflow(text, helpWidth(stdout.columns))),
      writeErr: (text) => stderr.write(reflow(text, helpWidth(stderr.columns))),
      getOutHelpWidth: () => helpWidth(stdout.columns),
      getErrHelpWidth: () => helpWidth(stderr.columns),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      // `run` reports all errors.
      outputError: () => {},
    });
  addGlobalOptions(program);
  refuseRepeated(program);
  for (const { name, description, hidden = false } of groups)
    program.command(name, { hidden }).description(description);
  return program.addHelpText("after", () => `\n${listTopics(helpOf(program))}`);
}

/** Returns the program with every command, for documentation and tests. */
export async function createWholeProgram(opening: CommandEnvironment): Promise<Command> {
  const program = createProgram(opening);
  for (const command of program.commands) await addCommands(command, opening);
  return program;
}

/** Adds the commands of a group. */
async function addCommands(group: Command, opening: CommandEnvironment): Promise<void> {
  const add = await groups.find(({ name }) => name === group.name())?.load();
  add?.(group, opening);
  refuseRepeated(group);
}

/** Makes options that take one value fail when repeated, because the first value would be lost. */
function refuseRepeated(command: Command): void {
  for (const option of command.options) {
    const { parseArg } = option;
    if (!option.required || isRepeatable(parseArg)) continue;
    option.argParser((text, previous: unknown) => {
      const isSecond = command.getOptionValueSource(option.attributeName()) === "cli";
      if (isSecond) command.error(`option '${option.flags}' was given twice, and takes one value`);
      return parseArg ? parseArg(text, previous) : text;
    });
  }
  for (const child of command.commands) refuseRepeated(child);
}

/** Longer lines are harder to read, and a fixed width gives the same text on all wide terminals. */
const helpWidth = (columns = 80) => Math.min(columns, 80);

/** Returns the deepest command that the words of `argv` name. */
function commandOf(program: Command, argv: readonly string[]): Command {
  return argv.reduce((command, word) => childOf(command, word) ?? command, program);
}

function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((one) => one.name() === word || one.aliases().includes(word));
}
