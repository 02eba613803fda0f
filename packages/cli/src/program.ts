import { Command, CommanderError } from "commander";
import { groups, type Opening } from "./commands/groups.ts";
import { exits, usageError } from "./errors.ts";
import { addGlobalOptions } from "./global-options.ts";
import { listTopics, refuseMisspeltTopic, topicPage } from "./help/topics.ts";
import type { Session } from "./session.ts";
import { version } from "./version.ts";

/**
 * Runs a command line that is not plain (see plain.ts) and gives its exit code. `begin` is told the values of the
 * global options and of the command's before anything is done; a mistake in the command line is thrown.
 */
export async function runWithCommander(
  argv: readonly string[],
  opening: Opening,
  begin: (flags: object, options: object) => Session,
): Promise<number> {
  const program = createProgram(opening);
  program.hook("preSubcommand", async (_, command) => {
    const add = await groups.find(({ name }) => name === command.name())?.load();
    add?.(command, opening);
  });
  program.hook("preAction", (_, command) => begin(program.opts(), command.opts()).checkFormat());
  try {
    if (argv[0] === "help" && (await printTopic(program, argv, opening, begin))) return exits.ok.code;
    // Without a command the person needs to see which there are.
    await program.parseAsync(argv.length === 0 ? ["--help"] : checkedHelp(argv), { from: "user" });
    return exits.ok.code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help, or the version, was asked for and printed.
    if (error.exitCode === 0) return exits.ok.code;
    // A group without a command: its help is the answer, and has been printed.
    if (error.code === "commander.help") return exits.usage.code;
    const command = commandOf(program, argv);
    begin(program.opts(), command.opts());
    throw mistake(error, command);
  }
}

/** False when the word after `help` is no topic. */
async function printTopic(
  program: Command,
  argv: readonly string[],
  { context }: Opening,
  begin: (flags: object, options: object) => Session,
): Promise<boolean> {
  const { operands } = program.parseOptions(argv.slice(1));
  const [word = ""] = operands;
  const page = await topicPage(word, helpOf(program));
  if (page) {
    context.stdout.write(page);
    return true;
  }
  begin(program.opts(), {});
  const commands = groups.map(({ name }) => name);
  if (!commands.includes(word)) refuseMisspeltTopic(word, commands);
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
 * `help keys rotate` is `keys rotate --help`: commander's own looks at one word, before the group has its commands. With
 * a word that is no command it says so, as the word alone does.
 */
function checkedHelp(argv: readonly string[]): string[] {
  const [first, word, ...more] = argv;
  if (first !== "help" || !word || word.startsWith("-") || word === "help") return [...argv];
  return groups.some(({ name }) => name === word) ? [word, ...more, "--help"] : [word, ...more];
}

/** The groups of commands; a group's own commands are added when the command line names the group. */
export function createProgram(opening: Opening): Command {
  const { stdout, stderr } = opening.context;
  const program = new Command("sazabi")
    .description("API keys, and the logs sent with them.")
    .version(`sazabi ${version}`, "-v, --version", "print the version")
    .helpOption("-h, --help", "print help for a command")
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      getOutHelpWidth: () => helpWidth(stdout.columns),
      getErrHelpWidth: () => helpWidth(stderr.columns),
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      // `run` reports errors, in one way for all of them.
      outputError: () => {},
    });
  addGlobalOptions(program);
  for (const { name, description, hidden = false } of groups)
    program.command(name, { hidden }).description(description);
  return program.addHelpText("after", () => `\n${listTopics(helpOf(program))}`);
}

/** The tree with every group's commands: for documentation and tests. */
export async function createWholeProgram(opening: Opening): Promise<Command> {
  const program = createProgram(opening);
  for (const command of program.commands) {
    const add = await groups.find(({ name }) => name === command.name())?.load();
    add?.(command, opening);
  }
  return program;
}

/** Longer lines are no easier to read; and the text is the same wherever there is room for it. */
const helpWidth = (columns = 80) => Math.min(columns, 80);

function mistake(error: CommanderError, command: Command) {
  const [message = "", ...hints] = error.message.replace(/^error: /, "").split("\n");
  if (error.code === "commander.unknownOption" && command.registeredArguments.length > 0) {
    hints.push("If it is no option, put -- before it.");
  }
  hints.push(`See \`${nameOf(command)} --help\`.`);
  return usageError(message, hints.join(" "));
}

/** The command that the words of `argv` lead to, as far as they do. */
function commandOf(program: Command, argv: readonly string[]): Command {
  let command = program;
  for (const word of argv) {
    command = command.commands.find((one) => one.name() === word || one.aliases().includes(word)) ?? command;
  }
  return command;
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
}
