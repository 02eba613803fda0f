import type { Command } from "commander";

/**
 * Returns the equivalent of an option of other command lines, with its value: `--format json` is `--json`, `-n 5` is
 * `--limit 5`. Returns undefined if the command has no equivalent.
 */
export function meantOption(message: string, argv: readonly string[], command: Command): string | undefined {
  const [, given = ""] = /unknown option '(.*)'/.exec(message) ?? [];
  const [, option = "", attached] = /^(--[a-z-]+|-[a-z])=?(.*)$/s.exec(given) ?? [];
  const next = argv[argv.indexOf(given) + 1];
  const value = attached || (next?.startsWith("-") ? undefined : next);
  const has = (name: string) => optionsOf(command).includes(name);
  // On commands that take a name, --limit is a request limit.
  if (limits.has(option) && has("--limit") && !has("--name"))
    return `--limit ${value && /^\d+$/.test(value) ? value : "<n>"}`;
  if (!formats.has(option)) return undefined;
  const format = `--${value === "jsonl" ? "ndjson" : (value ?? "json").toLowerCase()}`;
  return ["--json", "--ndjson", "--csv"].includes(format) && has(format) ? format : undefined;
}

const limits: ReadonlySet<string> = new Set(["-n", "--lines", "--max", "--count", "--max-items", "--page-size"]);
const formats: ReadonlySet<string> = new Set(["-o", "--output", "--format", "--output-format"]);

/** Returns the long names of the command's options and of the global options. */
function optionsOf(command: Command): readonly (string | undefined)[] {
  const own = command.options.map(({ long }) => long);
  return command.parent ? [...own, ...optionsOf(command.parent)] : own;
}
