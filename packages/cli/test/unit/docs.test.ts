import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { environment } from "../../src/help/environment.ts";
import { descendants, wholeProgram } from "../support/command-tree.ts";

const page = readFileSync(new URL("../../../../docs/cli.md", import.meta.url), "utf8");

test("the overview of docs/cli.md has every command", async () => {
  const overview = page.slice(page.indexOf("## Commands"), page.indexOf("## Which key"));
  const words = [...descendants(await wholeProgram())].flatMap((command) => [command.name(), ...command.aliases()]);
  expect([...new Set(words)].filter((word) => !overview.includes(word))).toEqual([]);
});

test("the table of variables has every one that the source reads", () => {
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
  const listed = environment.flatMap(({ names }) => names);
  expect([...new Set(read.map(([name]) => name))].filter((name) => !listed.includes(name))).toEqual([]);
});
