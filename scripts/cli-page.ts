// Generates the part of docs/cli.md that comes from the code: the commands, the exit codes, the variables.
import { exits } from "../packages/cli/src/errors.ts";
import { emptyVariables, environment } from "../packages/cli/src/help/environment.ts";
import { type CommandPage, readHelpPages } from "../packages/cli/src/reference.ts";

const begin = "<!-- From here on the page is written by `npm run docs:cli`: change the code, and run it. -->";
const end = "<!-- Here ends what `npm run docs:cli` writes. -->";

/** Returns the page with new text between the two markers. Throws if a marker is missing. */
export async function renewCliPage(page: string): Promise<string> {
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`docs/cli.md must have these two lines:\n${begin}\n${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${await reference()}\n\n${page.slice(to)}`;
}

async function reference(): Promise<string> {
  const pages = await readHelpPages();
  const [program, ...commands] = pages as [CommandPage, ...CommandPage[]];
  const shown = commands.filter(({ hidden, isGroup }) => !hidden && !isGroup);
  const others = commands.filter(({ hidden, description }) => hidden && description.startsWith("the same as"));
  return [
    "## Reference",
    "### Options of every command",
    table("option", program.parts.map(codeFirst)),
    ...shown.map(section),
    "### Other words",
    table("word", [
      ...others.map(({ words, description }) => [code(words), cell(description)] as const),
      ...shown.flatMap(({ words, aliases }) => aliases.map((alias) => [code(alias), `the same as ${words}`] as const)),
    ]),
    "## Exit codes",
    table(
      "code",
      Object.values(exits).map(({ code, means }) => [String(code), cell(means)] as const),
    ),
    "## Environment",
    table(
      "variable",
      environment.map(({ names, means }) => [names.map(code).join(", "), cell(means)] as const),
    ),
    emptyVariables,
  ].join("\n\n");
}

function section({ words, usage, description, parts, remarks, examples }: CommandPage): string {
  return [
    `### sazabi ${words}`,
    `\`${usage}\`: ${cell(description)}.`,
    ...(parts.length > 0 ? [table("", parts.map(codeFirst))] : []),
    ...(remarks === "" ? [] : [remarks.replaceAll("<", "\\<")]),
    ...(examples.length > 0 ? [`\`\`\`sh\n${examples.map(withComment).join("\n")}\n\`\`\``] : []),
  ].join("\n\n");
}

type Row = readonly [string, string];

function table(title: string, rows: readonly Row[]): string {
  return [`| ${title} | |`, "|---|---|", ...rows.map(([first, second]) => `| ${first} | ${second} |`)]
    .map((line) => line.replace("|  |", "| |"))
    .join("\n");
}

const codeFirst = ([term, explanation]: Row): Row => [code(term), cell(explanation)];

const code = (text: string) => `\`${text.replaceAll("|", "\\|")}\``;

/** In a table, only `|` needs escaping between backticks. */
function cell(text: string): string {
  return text
    .split("`")
    .map((part, i) => (i % 2 ? part : part.replace(/[*<]/g, "\\$&")).replaceAll("|", "\\|"))
    .join("`");
}

/** In the help, several spaces separate a remark from its command line. */
const withComment = (example: string) => example.replace(/ {3,}/, "   # ");
