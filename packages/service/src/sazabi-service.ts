import { parseArgs } from "node:util";
import { backup } from "./commands/backup.ts";
import { type Command, UsageError } from "./commands/command.ts";
import { restore } from "./commands/restore.ts";
import { start } from "./commands/start.ts";

/** The sub-commands. To add one, create a file in `commands/` and list it here. */
const commands: readonly Command[] = [start, backup, restore];

/** The program `sazabi-service`, for operators on the machine of the service. Sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const [name = "--help", ...rest] = args;
  if (name === "--help" || name === "-h") {
    process.stdout.write(overview());
    return;
  }
  const command = commands.find((candidate) => candidate.name === name);
  try {
    if (!command) {
      throw new UsageError(`There is no command "${name.slice(0, 40)}". \`sazabi-service --help\` lists them.`);
    }
    await run(command, rest);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
}

async function run(command: Command, args: string[]): Promise<void> {
  const { values, positionals } = parse(command, args);
  if (values["help"]) {
    process.stdout.write(helpOf(command));
    return;
  }
  if (positionals.length !== command.operands.length) {
    throw new UsageError(`Usage: ${usageOf(command)}`);
  }
  const interruption = new AbortController();
  if (command !== start) {
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      process.once(signal, () => interruption.abort(new Error("Interrupted. What was written is removed.")));
    }
  }
  await command.run(positionals, { flags: new Set(Object.keys(values)), signal: interruption.signal });
}

function parse(command: Command, args: string[]) {
  const flags = Object.fromEntries(Object.keys(command.flags).map((flag) => [flag, { type: "boolean" as const }]));
  const options = { ...flags, help: { type: "boolean" as const, short: "h" } };
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch {
    // The message of the parser repeats the argument, which may be a secret.
    throw new UsageError(`Usage: ${usageOf(command)}`);
  }
}

function usageOf({ name, operands, flags }: Command): string {
  const options = Object.keys(flags).map((flag) => `[--${flag}]`);
  return ["sazabi-service", name, ...operands.map((operand) => `<${operand}>`), ...options].join(" ");
}

function helpOf(command: Command): string {
  const flags = Object.entries(command.flags).map(([flag, help]) => `  --${flag}  ${help}\n`);
  return `Usage: ${usageOf(command)}\n\n${command.help}\n${flags.length > 0 ? `\nOptions:\n${flags.join("")}` : ""}`;
}

function overview(): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  const lines = commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}\n`);
  return (
    "Usage: sazabi-service <command>\n\n" +
    `Commands:\n${lines.join("")}\n` +
    "Each command reads the same environment variables as the service, such as SAZABI_DATA_DIR.\n" +
    "`sazabi-service <command> --help` describes a command. The guide is docs/operations.md.\n"
  );
}
