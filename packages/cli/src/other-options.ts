import type { Command } from "commander";

/**
 * What an option is called here that other command lines have, with its value: `--format json` is `--json`, `-n 5` is
 * `--limit 5`. Undefined when the command has nothing like it.
 */
export function meantOption(message: string, argv: readonly string[], command: Command): string | undefined {
  const [, given = ""] = /unknown option '(.*)'/.exec(message) ?? [];
  const [, option = "", attached] = /^(--[a-z-]+|-[a-z])=?(.*)$/s.exec(given) ?? [];
  const next = argv[argv.indexOf(given) + 1];
  const value = attached || (next?.startsWith("-") ? undefined : next);
  const has = (name: string) => optionsOf(command).includes(name);
  // Where something is named, --limit is a limit of requests.
  if (limits.has(option) && has("--limit") && !has("--name"))
    return `--limit ${value && /^\d+$/.test(value) ? value : "<n>"}`;
  if (!formats.has(option)) return undefined;
  const format = `--${value === "jsonl" ? "ndjson" : (value ?? "json").toLowerCase()}`;
  return ["--json", "--ndjson", "--csv"].includes(format) && has(format) ? format : undefined;
}

const limits: ReadonlySet<string> = new Set(["-n", "--lines", "--max", "--count", "--max-items", "--page-size"]);
const formats: ReadonlySet<string> = new Set(["-o", "--output", "--format", "--output-format"]);

/** The long names of its own options and of those that every command has. */
function optionsOf(command: Command): readonly (string | undefined)[] {
  const own = command.options.map(({ long }) => long);
  return command.parent ? [...own, ...optionsOf(command.parent)] : own;
}
