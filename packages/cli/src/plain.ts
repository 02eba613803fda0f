import type { Command } from "commander";
import type { Opening } from "./commands/command.ts";
import { groups } from "./commands/command-registry.ts";
import { ignored } from "./commands/ignored.ts";
import { isRepeatable } from "./commands/repeatable.ts";
import { addGlobalOptions } from "./global-options.ts";

/** A command line that was understood, as commander would give it to the command's action. */
export interface PlainCommand {
  /** The values of the global options. */
  readonly flags: object;
  readonly arguments: readonly unknown[];
  readonly options: object;
  readonly act: () => unknown;
}

/**
 * Reads a plain command line: words that lead to a command, its arguments, and options that are spelt out, each with
 * its value as the next word. Everything else is for commander, which takes as long to load as most commands to run:
 * help, mistakes, other names of a command, short forms, `--option=value`, `--`. Then nothing is done and the answer
 * is undefined. Where it answers it answers as commander would.
 */
export async function readPlain(argv: readonly string[], opening: Opening): Promise<PlainCommand | undefined> {
  const globals = new Declared([]);
  addGlobalOptions(globals.asCommand());
  const words = leadingWords(argv, globals);
  const group = groups.find(({ name }) => name === words[0]);
  if (!group) return undefined;
  const top = new Declared(words.slice(1));
  (await group.load())(top.asCommand(), opening);
  const command = top.innermost();
  return command && bind(argv, globals, command);
}

/** The words before the first option that is no global one: the names of the command, and maybe arguments. */
function leadingWords(argv: readonly string[], globals: Declared): readonly string[] {
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (!isOption(word)) words.push(word);
    else if (!globals.options.has(word)) break;
    else if (globals.options.get(word)?.takesValue) i++;
  }
  return words;
}

const isOption = (word: string) => word.startsWith("-") && word !== "-";

function bind(argv: readonly string[], globals: Declared, command: Declared): PlainCommand | undefined {
  const [flags, values] = [defaultsOf(globals), defaultsOf(command)];
  const words: string[] = [];
  const given = new Map<string, DeclaredOption>();
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] as string;
    if (!isOption(word)) {
      words.push(word);
      continue;
    }
    const option = globals.options.get(word) ?? command.options.get(word);
    if (!option) return undefined;
    const into = globals.options.has(word) ? flags : values;
    const text = option.takesValue ? argv[++i] : undefined;
    if (option.takesValue && (text === undefined || isOption(text))) return undefined;
    if (option.takesValue && given.has(option.name) && !option.isRepeatable) return undefined;
    const value = option.valueOf(text, into[option.name]);
    if (value === invalid) return undefined;
    into[option.name] = value;
    given.set(option.name, option);
  }
  if ([...given.values()].some(({ excluded }) => excluded.some((name) => given.has(name)))) return undefined;
  const bound = bindArguments(command.arguments, words.slice(command.depth + 1));
  const missing = [...command.options.values()].some((option) => option.required && values[option.name] === undefined);
  if (!bound || missing) return undefined;
  return { flags, arguments: bound, options: values, act: () => command.run(...bound, values) };
}

function defaultsOf({ options }: Declared): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  for (const [flag, { name, initial }] of options) {
    const isSecondOfPair = flag.startsWith("--no-") && options.has(flag.replace("--no-", "--"));
    if (initial !== undefined && !isSecondOfPair) values[name] = initial;
  }
  return values;
}

/** Undefined when there are too many or too few, or one that is not allowed. */
function bindArguments(declared: readonly DeclaredArgument[], words: readonly string[]): unknown[] | undefined {
  const isVariadic = declared.at(-1)?.name.endsWith("...]") ?? false;
  if (words.length > declared.length && !isVariadic) return undefined;
  if (!declared.every((argument, i) => argument.allows(words[i]))) return undefined;
  return declared.map(({ initial }, i) =>
    isVariadic && i === declared.length - 1 ? words.slice(i) : (words[i] ?? initial),
  );
}

const invalid = Symbol("invalid");

/** What a command is declared with, remembered. As much of commander's `Command` as the commands use. */
class Declared {
  readonly options = new Map<string, DeclaredOption>();
  /** `<key>`, `[file]`, `[query...]`. */
  readonly arguments: DeclaredArgument[] = [];
  readonly depth: number;
  run: (...values: unknown[]) => unknown = () => undefined;
  /** The words that follow this command's name. */
  readonly #words: readonly string[];
  #isGroup = false;
  #wanted: Declared | undefined;

  constructor(words: readonly string[], depth = 0) {
    this.#words = words;
    this.depth = depth;
  }

  asCommand(): Command {
    return this as unknown as Command;
  }

  /** The command that the words lead to; undefined when they stop at a group. */
  innermost(): Declared | undefined {
    return this.#isGroup ? this.#wanted?.innermost() : this;
  }

  command(name: string): unknown {
    this.#isGroup = true;
    if (name !== this.#words[0]) return ignored;
    this.#wanted = new Declared(this.#words.slice(1), this.depth + 1);
    return this.#wanted;
  }

  argument(name: string, _description?: string, initial?: unknown): this {
    return this.addArgument(new DeclaredArgument(name, initial));
  }

  createArgument(name: string): DeclaredArgument {
    return new DeclaredArgument(name);
  }

  addArgument(argument: DeclaredArgument): this {
    this.arguments.push(argument);
    return this;
  }

  option(flags: string, _description: string, parse?: unknown, initial?: unknown): this {
    const option = new DeclaredOption(flags);
    if (typeof parse === "function") option.argParser(parse as Parse).default(initial);
    else option.default(parse);
    return this.addOption(option);
  }

  requiredOption(flags: string): this {
    return this.addOption(Object.assign(new DeclaredOption(flags), { required: true }));
  }

  createOption(flags: string): DeclaredOption {
    return new DeclaredOption(flags);
  }

  addOption(option: DeclaredOption): this {
    for (const flag of option.flags) this.options.set(flag, option);
    return this;
  }

  action(run: (...values: unknown[]) => unknown): this {
    this.run = run;
    return this;
  }

  // What help and mistakes need; both are commander's.
  description = this.#unchanged;
  addHelpText = this.#unchanged;
  aliases = this.#unchanged;
  parseOptions(): void {}

  #unchanged(): this {
    return this;
  }
}

class DeclaredArgument {
  readonly name: string;
  readonly initial: unknown;
  #choices: readonly string[] | undefined;

  constructor(name: string, initial?: unknown) {
    this.name = name;
    this.initial = initial;
  }

  choices(values: readonly string[]): this {
    this.#choices = values;
    return this;
  }

  allows(word: string | undefined): boolean {
    return word === undefined ? !this.name.startsWith("<") : (this.#choices?.includes(word) ?? true);
  }
}

type Parse = (text: string, previous: unknown) => unknown;

class DeclaredOption {
  /** `-q`, `--quiet`. */
  readonly flags: readonly string[];
  /** `unusedFor`. */
  readonly name: string;
  readonly takesValue: boolean;
  readonly required: boolean = false;
  initial: unknown;
  /** Names of options that exclude this one. */
  excluded: readonly string[] = [];
  /** The value of an option that takes none. */
  readonly #on: boolean;
  #parse: Parse | undefined;
  #choices: readonly string[] | undefined;

  constructor(flags: string) {
    this.flags = flags.replace(/ <.*/, "").split(", ");
    this.takesValue = flags.endsWith(">");
    const long = this.flags.at(-1) as string;
    this.name = long.replace(/^--(no-)?/, "").replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    this.#on = !long.startsWith("--no-");
    if (!this.#on) this.initial = true;
  }

  default(initial: unknown): this {
    if (initial !== undefined) this.initial = initial;
    return this;
  }

  argParser(parse: Parse): this {
    this.#parse = parse;
    return this;
  }

  choices(values: readonly string[]): this {
    this.#choices = values;
    return this;
  }

  conflicts(names: string | readonly string[]): this {
    this.excluded = [names].flat();
    return this;
  }

  hideHelp(): this {
    return this;
  }

  get isRepeatable(): boolean {
    return isRepeatable(this.#parse);
  }

  /** `invalid` when the value is not valid. */
  valueOf(text: string | undefined, previous: unknown): unknown {
    if (text === undefined) return this.#on;
    if (this.#choices && !this.#choices.includes(text)) return invalid;
    try {
      return this.#parse ? this.#parse(text, previous) : text;
    } catch {
      return invalid;
    }
  }
}
