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
 * Runs a command line and gives its exit code. `begin` is called with the values of the global options and of the command's
 * before anything is done; a mistake in the command line is thrown.
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
    const asked = createProgram(opening);
    const subject = helpSubject(asked, argv);
    if (subject && (await printTopic(asked, subject, opening, begin))) return exits.ok.code;
    await program.parseAsync(subject ? await helpLine(subject, opening) : [...argv], { from: "user" });
    return exits.ok.code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help, or the version, was asked for and printed.
    if (error.exitCode === 0) return exits.ok.code;
    // A group without a command: its help is the answer, and has been printed.
    if (error.code === "commander.help") return exits.usage.code;
    const command = commandOf(program, argv);
    begin(program.opts(), command.opts());
    const { explainMistake } = await import("./command-mistake.ts");
    throw explainMistake(error, argv, await createWholeProgram(opening));
  }
}

/** What help is asked on: the words after `help`. Without any word the person needs to see which there are. */
function helpSubject(program: Command, argv: readonly string[]): readonly string[] | undefined {
  if (argv.length === 0) return [];
  if (!argv.includes("help")) return undefined;
  const { operands, unknown } = program.parseOptions([...argv]);
  return operands[0] === "help" && unknown.length === 0 ? operands.slice(1) : undefined;
}

/** False when the word is no topic. */
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

/** As wide as what it prints may be. */
function helpOf(program: Command) {
  const help = program.createHelp();
  const { getOutHelpWidth } = program.configureOutput();
  help.prepareContext({ helpWidth: getOutHelpWidth?.() ?? 80 });
  return help;
}

/**
 * `help keys rotate` is `keys rotate --help`: commander's own looks at one word, before the group has its commands. Words
 * that lead to no command are left as they are, and get the answer that they get without `help`.
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

/** The groups of commands; a group's own commands are added when the command line names the group. */
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
      // `run` reports errors, in one way for all of them.
      outputError: () => {},
    });
  addGlobalOptions(program);
  refuseRepeated(program);
  for (const { name, description, hidden = false } of groups)
    program.command(name, { hidden }).description(description);
  return program.addHelpText("after", () => `\n${listTopics(helpOf(program))}`);
}

/** The tree with every group's commands: for documentation and tests. */
export async function createWholeProgram(opening: CommandEnvironment): Promise<Command> {
  const program = createProgram(opening);
  for (const command of program.commands) await addCommands(command, opening);
  return program;
}

/** The commands of a group. */
async function addCommands(group: Command, opening: CommandEnvironment): Promise<void> {
  const add = await groups.find(({ name }) => name === group.name())?.load();
  add?.(group, opening);
  refuseRepeated(group);
}

/** An option that takes one value is refused when it comes twice, here and below: the first value would be lost. */
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

/** Longer lines are no easier to read; and the text is the same wherever there is room for it. */
const helpWidth = (columns = 80) => Math.min(columns, 80);

/** The command that the words of `argv` lead to, as far as they do. */
function commandOf(program: Command, argv: readonly string[]): Command {
  return argv.reduce((command, word) => childOf(command, word) ?? command, program);
}

function childOf(command: Command, word: string): Command | undefined {
  return command.commands.find((one) => one.name() === word || one.aliases().includes(word));
}
