import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { exits } from "../../src/errors.ts";
import { descendants, wholeProgram } from "../support/command-tree.ts";

const page = readFileSync(new URL("../../../../docs/cli.md", import.meta.url), "utf8");

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
  expect(listed).toEqual(Object.values(exits).map(({ code }) => code));
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
