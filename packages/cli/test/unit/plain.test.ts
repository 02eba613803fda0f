import type { Command } from "commander";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readPlain } from "../../src/plain.ts";
import { descendants, nowhere, wholeProgram, wordsOf } from "../support/command-tree.ts";

/** Commands that do something, as opposed to groups. */
async function leaves(): Promise<readonly Command[]> {
  return [...descendants(await wholeProgram())].filter((command) => command.commands.length === 0);
}

test("every command is read without commander when it is spelt out", async () => {
  const unread: string[] = [];
  for (const command of await leaves()) {
    const given = command.registeredArguments
      .filter(({ required }) => required)
      .map((one) => one.argChoices?.[0] ?? "x");
    const required = command.options.filter(({ mandatory }) => mandatory).flatMap(({ long }) => [long as string, "x"]);
    const argv = [...wordsOf(command), ...given, ...required, "--json"];
    if (!(await readPlain(argv, nowhere))) unread.push(argv.join(" "));
  }
  expect(unread).toEqual([]);
});

test("what is read without commander, commander reads in the same way", { timeout: 60_000 }, async () => {
  const commands = await leaves();
  let read = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.nat(commands.length - 1).chain((i) => commandLines(commands[i] as Command)),
      async (argv) => {
        const plain = await readPlain(argv, nowhere);
        if (!plain) return;
        read++;
        const { flags, arguments: words, options } = plain;
        expect(await byCommander(argv)).toEqual({ flags, arguments: words, options });
      },
    ),
    { numRuns: 1500 },
  );
  expect(read).toBeGreaterThan(200);
});

/** Its words, with options, values and arguments before and after them, most of which fit. */
function commandLines(command: Command): fc.Arbitrary<string[]> {
  const known = [...command.options, ...rootOf(command).options].map((option) => {
    const flags = fc.constantFrom(...([option.long, option.short].filter(Boolean) as string[]));
    if (!option.required) return flags.map((flag) => [flag]);
    const values = option.argChoices ?? ["5", "1h", "name", "a b", "", "-", "-x", "--json", "2026-11-22", "default"];
    return fc.tuple(flags, fc.constantFrom(...values)).map((pair) => [...pair]);
  });
  const odd = fc
    .constantFrom("x", "level:error", "-", "--", "--help", "--nothing", "--limit=3", "")
    .map((word) => [word]);
  const some = fc.array(fc.oneof({ weight: 3, arbitrary: fc.oneof(...known) }, odd), { maxLength: 4 });
  const few = fc.array(fc.oneof(...known), { maxLength: 1 });
  return fc.tuple(few, some).map(([before, after]) => [...before, wordsOf(command), ...after].flat());
}

function rootOf(command: Command): Command {
  return command.parent ? rootOf(command.parent) : command;
}

async function byCommander(argv: readonly string[]) {
  const program = await wholeProgram();
  let seen: unknown;
  for (const command of descendants(program)) {
    if (command.commands.length > 0) continue;
    command.action((...given: unknown[]) => {
      const words = given.slice(0, -2);
      seen = { flags: program.opts(), arguments: words, options: command.opts() };
    });
  }
  await program.parseAsync(argv, { from: "user" });
  return seen;
}
