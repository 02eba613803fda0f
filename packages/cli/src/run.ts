import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { groups, type Opening } from "./commands/groups.ts";
import type { Context } from "./context.ts";
import { exitCodes } from "./errors.ts";
import type { GlobalFlags, Session } from "./session.ts";
import { version } from "./version.ts";

/** Runs one command line and gives its exit code. */
export async function run(argv: readonly string[], context: Context): Promise<number> {
  let session: Session | undefined;
  // The session brings the SDK with it: printing help needs neither.
  const load = async (command: Command = commandOf(program, argv)) => {
    const { Session } = await import("./session.ts");
    session ??= new Session(context, readGlobalFlags(program, command));
    return session;
  };
  const program = createProgram({ context, open: () => session as Session });
  program.hook("preAction", async (_, command) => (await load(command)).checkFormat());
  try {
    // Without a command the person needs to see which there are.
    await program.parseAsync(argv.length === 0 ? ["--help"] : checkedHelp(argv), { from: "user" });
    return exitCodes.ok;
  } catch (error) {
    if (!(error instanceof CommanderError)) return fail(error, await load());
    // Help, or the version, was asked for and printed.
    if (error.exitCode === 0) return exitCodes.ok;
    return failOnUsage(error, await load(), commandOf(program, argv));
  }
}

/** `help` with a word that is no command says so, as the word alone does. */
function checkedHelp(argv: readonly string[]): string[] {
  const [first, word] = argv;
  const isUnknown = first === "help" && word && !word.startsWith("-") && word !== "help";
  if (isUnknown && !groups.some(({ name }) => name === word)) return argv.slice(1);
  return [...argv];
}

/** The tree of commands. A group's own commands are added when the command line names the group. */
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
      getOutHelpWidth: () => stdout.columns ?? 80,
      getErrHelpWidth: () => stderr.columns ?? 80,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      // `run` reports errors, in one way for all of them.
      outputError: () => {},
    });
  addGlobalOptions(program);
  for (const { name, description, hidden = false } of groups)
    program.command(name, { hidden }).description(description);
  program.hook("preSubcommand", async (_, command) => {
    const add = await groups.find(({ name }) => name === command.name())?.load();
    add?.(command, opening);
  });
  return program;
}

function addGlobalOptions(program: Command): void {
  program
    .option("--json", "print the result as JSON")
    .option("-q, --quiet", "print nothing but the result and errors")
    .option("--profile <name>", "use this profile's key and settings, whatever the environment says")
    .option("--api-url <url>", "address of the API (default: SAZABI_API_URL, the profile's, http://127.0.0.1:4600)")
    .addOption(new Option("--api-base-url <url>", "the same").hideHelp())
    .option("--key-stdin", "read the secret key from stdin, for this command")
    .option("--no-input", "never ask anything")
    .option("--no-pager", "print long output as it is, also at a terminal")
    .addOption(new Option("--color <when>", "colour the output").choices(["always", "never", "auto"]))
    .addOption(new Option("--no-color", "the same as --color never"))
    .option("--timeout <seconds>", "give up on a request after this long (default: 30)", parseSeconds);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 3600)) throw new InvalidArgumentError("Use a number of seconds, up to 3600.");
  return seconds;
}

/** With those of the command that say how its rows are printed. */
function readGlobalFlags(program: Command, command: Command): GlobalFlags {
  const { apiBaseUrl, ...flags } = program.opts<GlobalFlags & { readonly apiBaseUrl?: string }>();
  const { ndjson, csv, fields } = command.opts<GlobalFlags>();
  const apiUrl = flags.apiUrl ?? apiBaseUrl;
  return {
    ...flags,
    ...(apiUrl === undefined ? {} : { apiUrl }),
    ...(ndjson ? { ndjson } : {}),
    ...(csv ? { csv } : {}),
    ...(fields ? { fields } : {}),
  };
}

async function fail(error: unknown, session: Session): Promise<number> {
  if (session.context.signal.aborted) return exitCodes.interrupted;
  const { explain } = await import("./explain.ts");
  const { exit, ...explanation } = explain(error, session);
  await report(session, { ...explanation, exitCode: exitCodes[exit] });
  return exitCodes[exit];
}

async function failOnUsage(error: CommanderError, session: Session, command: Command): Promise<number> {
  // A group without a command: its help is the answer, and has been printed.
  if (error.code === "commander.help") return exitCodes.usage;
  const [message = "", ...hints] = error.message.replace(/^error: /, "").split("\n");
  if (error.code === "commander.unknownOption" && command.registeredArguments.length > 0) {
    hints.push("If it is no option, put -- before it.");
  }
  hints.push(`See \`${nameOf(command)} --help\`.`);
  await report(session, { code: "USAGE", message, hint: hints.join(" "), exitCode: exitCodes.usage });
  return exitCodes.usage;
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

interface Report {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly exitCode: number;
}

/** To stderr: one line, or one line of JSON. */
async function report(session: Session, { hint, ...failure }: Report): Promise<void> {
  const { stderr } = session.context;
  const { maskKeys } = await import("./output/mask.ts");
  const { safeJson, visible } = await import("./output/visible.ts");
  if (session.flags.json || session.flags.ndjson) return stderr.write(`${maskKeys(safeJson({ ...failure, hint }))}\n`);
  const { err } = await session.palettes();
  const sentence = /[.!?]$/.test(failure.message) ? failure.message : `${failure.message}.`;
  stderr.write(`${err.error("error:")} ${maskKeys(visible(hint ? `${sentence} ${hint}` : sentence))}\n`);
}
