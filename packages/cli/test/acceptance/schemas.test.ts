import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startTestService, type TestService } from "@sazabi/service/testing";
import { Ajv2020 } from "ajv/dist/2020.js";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { startLoopback } from "../../../sdk/test/support/loopback.ts";
import type { FieldSelection } from "../../src/output/fields.ts";
import { runnableCommands } from "../support/command-tree.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

interface Schema {
  readonly [keyword: string]: unknown;
  readonly $id: string;
  readonly "x-commands": readonly string[];
}

const folder = new URL("../../../../docs/schemas/", import.meta.url);
const read = (file: string) => JSON.parse(readFileSync(new URL(file, folder), "utf8")) as Schema;
const common = read("common.json");
const schemas = readdirSync(folder)
  .filter((file) => file !== "common.json")
  .map(read);

/** The schema, and with it no member that it does not name: what is not documented must not be there. */
const closed = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(closed);
  const inner = Object.fromEntries(Object.entries(value).map(([name, one]) => [name, closed(one)]));
  return "properties" in value ? { ...inner, additionalProperties: false } : inner;
};

const ajv = new Ajv2020({ allErrors: true, allowUnionTypes: true });
ajv.addVocabulary(["x-commands"]);
ajv.addSchema(closed(common) as Schema);
for (const schema of schemas) ajv.addSchema(closed(schema) as Schema);

function expectValid(schema: Schema, value: unknown): void {
  const validate = ajv.getSchema(schema.$id) ?? expect.unreachable();
  if (!validate(value)) expect.fail(`${schema.$id}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value)}`);
}

const errorSchema = schemas.find(({ $id }) => $id === "error.json") as Schema;

const schemaOf = (command: string) =>
  schemas.find((schema) => schema["x-commands"].includes(command)) ?? expect.fail(`${command} has no schema.`);

/** One prints what the service answers, the other a script. */
const withoutShape = ["api", "completion"];

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service?.close());

describe("docs/schemas", () => {
  test("has one schema for each command, and none for others", async () => {
    const documented = schemas.flatMap((schema) => schema["x-commands"]);
    const real = [...(await runnableCommands()).keys()].filter((command) => !withoutShape.includes(command));
    expect(documented.toSorted()).toEqual(real.toSorted());
  });

  test("holds for what every command prints against the real service", async () => {
    const { url, secretKey, projectId } = service;
    const { run } = terminal({ env: { SAZABI_API_URL: url, SAZABI_SECRET_KEY: secretKey } });
    const pages = await startLoopback({ "GET /dashboard": () => ({ body: "" }) });
    onTestFinished(pages.close);
    const log = join(scratchDirectory(), "app.log");
    writeFileSync(log, 'ERROR one\n{"message":"two","http":{"status":500},"ok":true,"none":null}\n');
    const fresh = async (kind = "secret") => {
      const created = await run([
        "keys",
        "create",
        `${Math.random()}`,
        "--type",
        kind,
        "--project",
        projectId,
        "--json",
      ]);
      return JSON.parse(created.out).id as string;
    };
    const secret = await fresh();
    const published = await fresh("public");
    const inGrace = await fresh();
    await run(["keys", "rotate", inGrace, "--json"]);

    /** The words of the command, what follows them, and the exit code that is expected. */
    const cases: readonly (readonly [command: string, more: readonly string[], code?: number | "any"])[] = [
      ...["auth login", "auth save", "login"].map(
        (words) => [words, [...(words === "auth save" ? [] : ["--key"]), secretKey, "--profile", "work"]] as const,
      ),
      ["auth status", []],
      ["auth status", ["--profile", "work"]],
      ["auth status", ["--api-url", "http://127.0.0.1:9"], "any"],
      ["auth token", []],
      ["auth switch", ["work"]],
      ["whoami", []],
      ["auth whoami", []],
      ["keys create", ["--name", "a", "--expires", "1h", "--scopes", "read:logs", "--limit", "60"]],
      ["keys secret-keys create", ["--name", "a", "--style", "sazabi", "--allow-address", "10.0.0.0/8"]],
      ["secret-keys create", ["a", "--project", projectId]],
      ["keys public-keys create", ["--name", "a", "--style", "sazabi"]],
      ["public-keys create", ["a", "--allow-origin", "https://app.example.com"]],
      ["keys list", []],
      ["keys secret-keys list", ["--limit", "2"]],
      ["secret-keys list", ["--all"]],
      ["keys public-keys list", []],
      ["public-keys list", []],
      ["keys secret-keys get", [inGrace]],
      ["secret-keys get", [secret]],
      ["keys public-keys get", [published]],
      ["public-keys get", [published]],
      ["keys secret-keys update", [secret, "--name", "b"]],
      ["secret-keys update", [secret, "--limit", "default"]],
      ["keys public-keys update", [published, "--name", "b"]],
      ["public-keys update", [published, "--expires", "8h"]],
      ["keys rotate", [secret]],
      ["keys secret-keys rotate", [secret, "--finish", "--yes"]],
      ["secret-keys rotate", [secret, "--env-file", "/nowhere/.env"], "any"],
      ["secret-keys rotate", [secret]],
      ["secret-keys rotate", [secret, "--cancel"]],
      ["keys public-keys rotate", [published, "--stdout"]],
      ["public-keys rotate", [published, "--finish"]],
      ["keys usage", [secret]],
      ["keys secret-keys usage", [inGrace, "--interval", "1d"]],
      ["secret-keys usage", [inGrace]],
      ["keys public-keys usage", [published]],
      ["public-keys usage", [published]],
      ["keys inspect", [secretKey]],
      ["keys inspect", ["nonsense"], 1],
      ["logs send", [log]],
      ["logs query", ["--since", "1h"]],
      ["logs query", ["service:app", "--oldest-first"]],
      ["logs query", ["service:app", "--context", "1"]],
      ["logs tail", ["--since", "1h", "--limit", "2"]],
      ["logs volume", []],
      ["logs patterns", []],
      ["logs volume", ["service:app", "--by", "level", "--since", "1h"]],
      ["audit list", []],
      ["audit verify", []],
      ["audit verify", ["--known-head", `9999:${"0".repeat(64)}`], 1],
      ["projects list", []],
      ["projects create", ["--name", "second"]],
      ["projects use", [projectId]],
      ["organizations list", []],
      ["threads list", []],
      ["profiles create", ["spare"]],
      ["profiles list", []],
      ["profiles use", ["work"]],
      ["profiles delete", ["spare"]],
      ["config set", ["projectId", projectId]],
      ["config get", ["projectId"]],
      ["config list", []],
      ["config unset", ["projectId"]],
      ["config path", []],
      ["doctor", []],
      ["doctor", ["--api-url", "http://127.0.0.1:9"], 1],
      ["open", ["--api-url", pages.url]],
      ["auth logout", ["--profile", "work"]],
      ["logout", []],
      ...["keys revoke", "keys secret-keys revoke", "secret-keys revoke"].map((words) => [words, ["secret"]] as const),
      ...["keys public-keys revoke", "public-keys revoke"].map(
        (words) => [words, ["public", "--project", projectId]] as const,
      ),
      ["keys revoke-all", ["--yes"]],
    ];
    for (const [command, more, expected = 0] of cases) {
      const last = command.endsWith(" revoke") ? [await fresh(more[0]), ...more.slice(1)] : more;
      const { code, out, err } = await run([...command.split(" "), ...last, "--json"]);
      if (expected !== "any" && code !== expected) expect.fail(`${command} ${last.join(" ")}: ${code} ${err}`);
      if (code !== 0) expectValid(errorSchema, JSON.parse(err.trimEnd().split("\n").at(-1) as string));
      // Of entries, one object a line.
      const texts = ["logs query", "logs tail"].includes(command) ? out.split("\n") : [out];
      const printed = texts.filter(Boolean).map((text) => JSON.parse(text));
      for (const value of printed) expectValid(schemaOf(command), value);
      if (code === 0) expect(printed.length, command).toBeGreaterThan(0);
    }
    const covered = new Set(cases.map(([command]) => command));
    const all = schemas.flatMap((schema) => schema["x-commands"]);
    expect(all.filter((command) => !covered.has(command))).toEqual([]);
  });

  test("has the fields that --fields takes", async () => {
    for (const [words, command] of await runnableCommands()) {
      const option = command.options.find(({ long }) => long === "--fields");
      if (!option) continue;
      const documented = fieldsOf(rowOf(schemaOf(words)));
      const { all } = option.defaultValue as FieldSelection;
      expect(all.filter((name) => !documented.includes(name))).toEqual([]);
      const ofThis = documented.filter((name) => isOfKind(words, name));
      for (const name of ofThis)
        expect(() => option.parseArg?.(name, option.defaultValue), `${words}: ${name}`).not.toThrow();
    }
  });
});

const rowOf = ({ properties }: Schema): unknown => {
  const { items, points, rows } = properties as Record<string, { readonly items: unknown } | undefined>;
  return (items ?? points ?? rows)?.items ?? { properties };
};

/** The names of an object's members, and of theirs. */
function fieldsOf(schema: unknown): readonly string[] {
  const {
    $ref,
    anyOf = [],
    properties = {},
  } = schema as {
    readonly $ref?: string;
    readonly anyOf?: readonly unknown[];
    readonly properties?: object;
  };
  const meant = $ref && (common["$defs"] as Record<string, unknown>)[$ref.replace("common.json#/$defs/", "")];
  const own = Object.entries(properties).flatMap(([name, one]) => [
    name,
    ...fieldsOf(one).map((inner) => `${name}.${inner}`),
  ]);
  return [...own, ...anyOf.flatMap(fieldsOf), ...(meant ? fieldsOf(meant) : [])];
}

/**
 * The schema of lists of keys is that of both kinds; a list of one kind has not the fields of the other. `match` comes
 * with --context, which prints whole entries.
 */
function isOfKind(words: string, name: string): boolean {
  if (name === "match") return false;
  if (words.includes("secret-keys"))
    return !["dataSourceConnectionId", "allowedOrigins", "deactivatedAt"].includes(name);
  return !words.includes("public-keys") || !["scopes", "revokedAt"].includes(name);
}
