import type { Command, Option } from "commander";
import { groups } from "../commands/command-registry.ts";
import type { Context } from "../context.ts";
import { readGlobalFlags } from "../global-options.ts";
import { topics } from "../help/topics.ts";
import { visible } from "../output/visible.ts";
import { createProgram } from "../program.ts";
import { Session } from "../session.ts";
import { type Candidate, type LiveKind, liveCandidates } from "./remote-values.ts";

/** The user is waiting for the completion. */
const patienceMs = 1000;

/**
 * Prints the completions of the last of `words`, one per line: the word, a tab, its description. On an error it prints
 * fewer completions; it never prompts and never prints a message.
 */
export async function complete(words: readonly string[], context: Context): Promise<void> {
  const { before, lead, current } = split(words.map(unquoted));
  const place = await placeOf(before, context);
  const candidates = await candidatesAt(place, current, context);
  for (const { word, about } of candidates.filter(({ word }) => word !== "")) {
    // Names that are unsafe for the terminal or the shell are completed by id.
    if (!word.startsWith(current) || visible(word) !== word) continue;
    if (word.startsWith("-") && !current.startsWith("-")) continue;
    context.stdout.write(`${lead}${word}\t${visible(about)}\n`);
  }
}

/** Splits `--project=def` into the option, which stays, and the value to complete. */
function split(words: readonly string[]) {
  const last = words.at(-1) ?? "";
  const [, option, value = ""] = /^(--[\w-]+)=(.*)$/s.exec(last) ?? [];
  if (option === undefined) return { before: words.slice(0, -1), lead: "", current: last };
  return { before: [...words.slice(0, -1), option], lead: `${option}=`, current: value };
}

/** The position in the command tree, and what the next word completes. */
interface Place {
  readonly command: Command;
  /** The number of arguments already given. */
  readonly given: number;
  /** The option whose value comes next. */
  readonly option: Option | undefined;
  readonly onlyArguments: boolean;
  /** True if the words follow `help`. */
  readonly isHelp: boolean;
  readonly flags: Readonly<Record<string, unknown>>;
}

async function placeOf(words: readonly string[], context: Context): Promise<Place> {
  const opening = { context, open: () => new Session(context, {}) };
  const program = createProgram(opening);
  const flags: Record<string, unknown> = {};
  let command = program;
  let option: Option | undefined;
  let [given, onlyArguments, isHelp] = [0, false, false];
  for (const word of words) {
    if (word === "=") continue; // Bash splits `--option=value` into three words.
    if (option) {
      flags[option.attributeName()] = word;
      option = undefined;
    } else if (word === "--") onlyArguments = true;
    else if (word.startsWith("-") && !onlyArguments) option = valueOption(program, command, word);
    else if (word === "help" && command.commands.length > 0 && given === 0 && !isHelp) isHelp = true;
    else {
      const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (!next) given++;
      else command = next;
      const add = next?.parent === program ? await groups.find(({ name }) => name === word)?.load() : undefined;
      if (next) add?.(next, opening);
    }
  }
  return { command, given, option, onlyArguments, isHelp, flags };
}

function valueOption(program: Command, command: Command, flag: string): Option | undefined {
  const known = [...command.options, ...program.options].find(({ long, short }) => long === flag || short === flag);
  return known?.required ? known : undefined;
}

async function candidatesAt(place: Place, current: string, context: Context): Promise<readonly Candidate[]> {
  const { command, option, onlyArguments, given, isHelp } = place;
  if (option) {
    if (option.argChoices) return option.argChoices.map((word) => ({ word, about: option.description }));
    return live(liveOptions[option.attributeName()], place, context);
  }
  if (current.startsWith("-") && !onlyArguments) return optionsOf(command);
  if (isHelp) return given === 0 ? helpSubjects(command) : [];
  if (command.commands.length > 0) return given === 0 ? commandsOf(command) : [];
  const argument = command.registeredArguments[Math.min(given, command.registeredArguments.length - 1)];
  if (!argument || (given >= command.registeredArguments.length && !argument.variadic)) return [];
  if (argument.argChoices) return argument.argChoices.map((word) => ({ word, about: argument.description }));
  return live(liveArgument(command, argument.name()), place, context);
}

const liveOptions: Readonly<Record<string, LiveKind>> = { project: "projects", profile: "profiles" };

function liveArgument(command: Command, name: string): LiveKind | undefined {
  if (name === "project") return "projects";
  const group = command.parent?.name();
  if (name === "key" && command.name() !== "inspect") {
    return group === "secret-keys" || group === "public-keys" ? group : "keys";
  }
  return group === "profiles" && command.name() !== "create" ? "profiles" : undefined;
}

async function live(kind: LiveKind | undefined, { flags }: Place, context: Context): Promise<readonly Candidate[]> {
  if (!kind) return [];
  const signal = AbortSignal.timeout(patienceMs);
  // No prompts and no messages, because the user is editing a command line.
  const session = new Session(
    { ...context, signal, openStore: (name) => context.openStore(name, { withinMs: patienceMs / 2 }) },
    readGlobalFlags({ ...flags, input: false, quiet: true }),
  );
  const tooLate = new Promise<readonly Candidate[]>((resolve) => {
    signal.addEventListener("abort", () => resolve([]), { once: true });
  });
  try {
    return await Promise.race([liveCandidates(session, kind, flags.project as string | undefined), tooLate]);
  } catch {
    return [];
  }
}

function optionsOf(command: Command): readonly Candidate[] {
  const help = command.createHelp();
  const options = [...help.visibleOptions(command), ...(command.parent ? help.visibleGlobalOptions(command) : [])];
  return options.map(({ long, short, description }) => ({ word: long ?? short ?? "", about: description }));
}

function commandsOf(command: Command): readonly Candidate[] {
  const shown = command.createHelp().visibleCommands(command);
  return shown.map((one) => ({ word: one.name(), about: one.description() }));
}

function helpSubjects(command: Command): readonly Candidate[] {
  const commands = commandsOf(command).filter(({ word }) => word !== "help");
  return command.parent
    ? commands
    : [...commands, ...topics.map(({ name, description }) => ({ word: name, about: description }))];
}

/** Removes quotes and backslashes from a word that the shell passes unparsed. */
function unquoted(word: string): string {
  const quote = /^["']/.exec(word)?.[0];
  if (!quote) return word.replace(/\\(.)/g, "$1");
  return word.slice(1).replace(new RegExp(`${quote}$`), "");
}
