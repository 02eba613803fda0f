import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { expect, test } from "vitest";
import { groups } from "../../src/commands/groups.ts";
import { exitCodes } from "../../src/errors.ts";
import { createProgram } from "../../src/run.ts";

const page = readFileSync(new URL("../../../../docs/cli.md", import.meta.url), "utf8");

/** The whole tree, every group loaded. */
async function wholeProgram(): Promise<Command> {
  const output = { isTTY: false, columns: undefined, write: () => {}, drained: async () => {} };
  const context = { stdout: output, stderr: output } as unknown as Parameters<typeof createProgram>[0]["context"];
  const opening = { context, open: () => expect.unreachable() };
  const program = createProgram(opening);
  for (const { name, load } of groups) {
    const group = program.commands.find((command) => command.name() === name) as Command;
    (await load())(group, opening);
  }
  return program;
}

function* descendants(command: Command): Generator<Command> {
  for (const child of command.commands) {
    yield child;
    yield* descendants(child);
  }
}

test("docs/cli.md has every command and every option", async () => {
  const program = await wholeProgram();
  const commands = [...descendants(program)];
  const words = commands.map((command) => command.name());
  const options = [program, ...commands].flatMap((command) => command.options.map(({ long }) => long as string));
  const missing = [...new Set([...words, ...options])].filter((word) => !page.includes(word));
  // Explained by the help of the commands that have them.
  expect(missing.filter((word) => !["--region", "--status"].includes(word))).toEqual([]);
});

test("docs/cli.md has every exit code, and no other", () => {
  const table = page.slice(page.indexOf("## Exit codes"), page.indexOf("## Environment"));
  const listed = [...table.matchAll(/^\| (\d+) \|/gm)].map(([, code]) => Number(code));
  expect(listed).toEqual([...new Set(Object.values(exitCodes))].sort((a, b) => a - b));
});

test("docs/cli.md has every variable that the source reads", () => {
  const sources = [
    "main.ts",
    "session.ts",
    "config-directory.ts",
    "network.ts",
    "commands/logs-send.ts",
    "output/colour.ts",
  ]
    .map((file) => readFileSync(new URL(`../../src/${file}`, import.meta.url), "utf8"))
    .join("\n");
  const read = [
    ...sources.matchAll(/\b(SAZABI_[A-Z_]+|[A-Z]*CLICOLOR[A-Z_]*|(?:NO|FORCE)_COLOR|HTTPS?_PROXY|NO_PROXY)\b/g),
  ];
  expect(read.length).toBeGreaterThan(10);
  expect([...new Set(read.map(([name]) => name))].filter((name) => !page.includes(name))).toEqual([]);
});
