import type { Command, Option } from "commander";
import { describe, expect, test } from "vitest";
import { readCommandLine, runnableCommands, wordsOf } from "../support/command-tree.ts";
import { secretKeyOf, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

/** The options whose values are collected. Any other that takes a value may be given once. */
const collected = ["--except", "--scopes", "--fields", "--allow-address", "--allow-origin", "--header"];
/** These are collected in one list of both, by the command. */
const fieldsOfRequests = ["--raw-field", "--field"];

/** The command's own, and for one command also those of every command. */
const optionsOf = (command: Command): readonly Option[] =>
  [...command.options, ...(command.name() === "whoami" ? (command.parent?.options ?? []) : [])].filter(
    ({ required }) => required,
  );

/** A command line that fits, without the option. */
function lineOf(command: Command, option: Option): readonly string[] {
  const words = command.registeredArguments.filter(({ required }) => required).map((one) => one.argChoices?.[0] ?? "x");
  const others = command.options.filter((one) => one.mandatory && one !== option);
  return [...wordsOf(command), ...words, ...others.flatMap(({ long }) => [long as string, "x"])];
}

/** Two values that the option takes. */
async function valuesFor(line: readonly string[], { long, argChoices, description }: Option): Promise<string[]> {
  const listed = /only these, comma-separated: (.*)$/.exec(description)?.[1]?.split(", ") ?? [];
  const fitting: string[] = [];
  for (const value of argChoices ?? [...listed, "5", "6", "1h", "2h"]) {
    if (fitting.length < 2 && (await readCommandLine([...line, long as string, value]))) fitting.push(value);
  }
  return fitting;
}

async function* allOptions() {
  for (const command of (await runnableCommands()).values()) {
    for (const option of optionsOf(command)) {
      const line = lineOf(command, option);
      const [first, second] = await valuesFor(line, option);
      if (first === undefined || second === undefined) {
        expect.unreachable(`No value is known for ${line.join(" ")} ${option.flags}`);
      }
      yield { line, option, first, second };
    }
  }
}

describe("an option that takes a value, given twice", () => {
  test("is refused by every command, in every spelling, unless it is a list", { timeout: 120_000 }, async () => {
    const wrong: string[] = [];
    let tried = 0;
    for await (const { line, option, first, second } of allOptions()) {
      const long = option.long as string;
      if ([...collected, ...fieldsOfRequests].includes(long)) continue;
      const spellings = [
        [...line, long, first, `${long}=${second}`],
        ...(option.short ? [[...line, option.short, first, long, second]] : []),
      ];
      expect(await readCommandLine([...line, long, first, long, second])).toBeUndefined();
      for (const argv of spellings) {
        const { code, out, err } = await terminal().run(argv);
        const isNamed = err.includes(`option '${option.flags}' was given twice`);
        if (code !== 2 || out !== "" || !isNamed) wrong.push(`${argv.join(" ")}: ${code} ${err}`);
        tried++;
      }
    }
    expect(wrong).toEqual([]);
    expect(tried).toBeGreaterThan(100);
  });

  test("collects where it is a list", async () => {
    const seen = new Set<string>();
    for await (const { line, option, first, second } of allOptions()) {
      const long = option.long as string;
      if (!collected.includes(long)) continue;
      seen.add(long);
      const read = await readCommandLine([...line, long, first, long, second]);
      const value = new Map(Object.entries(read?.options ?? {})).get(option.attributeName());
      const values = long === "--fields" ? (value as { chosen: unknown }).chosen : value;
      expect({ line, values }).toEqual({ line, values: [first, second] });
    }
    expect([...seen].sort()).toEqual([...collected].sort());
  });

  test("also counts under its other name", async () => {
    for (const [argv, names] of [
      [
        ["keys", "create", "x", "--expires", "1h", "--expires-at", "2h"],
        ["--expires ", "--expires-at"],
      ],
      [
        ["keys", "secret-keys", "update", "x", "--clear-expires-at", "--expires", "2h"],
        ["--expires ", "--clear"],
      ],
      [
        ["keys", "rotate", "x", "--env-file", "a", "--dotenv", "b"],
        ["--env-file", "--dotenv"],
      ],
      [
        ["whoami", "--api-url", "http://127.0.0.1:1", "--api-base-url", "http://127.0.0.1:2"],
        ["--api-url", "--api-base-url"],
      ],
    ] as const) {
      const { code, err } = await terminal().run(argv);
      expect({ argv, code }).toEqual({ argv, code: 2 });
      for (const name of names) expect(err).toContain(name);
    }
  });
});

test("--except given twice spares both keys", async () => {
  const ids = ["0b0e7a3e-58f2-4b43-9a57-1f6f6a7f2f11", "0b0e7a3e-58f2-4b43-9a57-1f6f6a7f2f12"] as const;
  const { env, asked } = await startService({
    "POST /v1/keys/revoke-all": () => ({ body: { revoked: [], revokedCount: 0 } }),
  });
  for (const more of [["--except", ids[1]], [`--except=${ids[1]}`]]) {
    const argv = ["keys", "revoke-all", "--kind", "secret", "--except", ids[0], ...more, "--yes"];
    expect(await terminal({ env }).run(argv)).toMatchObject({ code: 0 });
    const { text = "" } = asked.findLast(({ path }) => path === "/v1/keys/revoke-all") ?? {};
    expect(JSON.parse(text).except).toEqual([...ids, "caller"]);
  }
});

test("--scopes given twice grants both", async () => {
  const { env, asked, secretKey } = await startService({
    "POST /v1/secret-keys": () => ({ body: { secretKey: secretKeyOf("wxyz"), value: secretKey } }),
  });
  const argv = ["keys", "create", "x", "--scopes", "read:logs", "--scopes", "read:keys,write:keys"];
  await terminal({ env }).run(argv);
  const { text = "" } = asked.find(({ method }) => method === "POST") ?? {};
  expect(JSON.parse(text).scopes).toEqual(["read:logs", "read:keys", "write:keys"]);
});
