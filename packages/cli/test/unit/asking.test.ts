import { describe, expect, test } from "vitest";
import { runnableCommands } from "../support/command-tree.ts";
import { keyId, projectId, secretKeyOf, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

/** What a command asks for at a terminal: leave to do something, a value that it needs, or nothing. */
type Asks = "leave" | "value" | "nothing";

interface Case {
  /** The words after the command's. */
  readonly more: readonly string[];
  readonly asks: Asks;
  /** Exit codes where it may not ask: with --no-input, and without a terminal. */
  readonly unasked?: readonly [noInput: number, noTerminal: number];
}

const nothing = (...more: readonly string[]): Case => ({ more, asks: "nothing" });
// What is named, one thing, is done where nobody can be asked, as by other command lines; what is not named is not.
const revoke: Case = { more: [keyId], asks: "leave", unasked: [0, 0] };
const rotate: Case = { more: [keyId, "--finish"], asks: "leave", unasked: [0, 0] };
const login: Case = { more: ["--store", "file"], asks: "value", unasked: [2, 2] };
const ofKey = nothing(keyId);

/** Every command there is. A new one has to say here whether it asks. */
const commands: Readonly<Record<string, Case>> = {
  "auth login": login,
  "auth save": nothing("KEY", "--store", "file"),
  "auth logout": nothing(),
  "auth status": nothing(),
  "auth token": { more: [], asks: "leave", unasked: [2, 0] },
  "auth switch": { more: [], asks: "value", unasked: [2, 2] },
  "auth whoami": nothing(),
  whoami: nothing(),
  login,
  logout: nothing(),
  "keys create": nothing("ci"),
  "keys list": nothing(),
  "keys revoke": revoke,
  "keys rotate": rotate,
  "keys usage": ofKey,
  "keys revoke-all": { more: [], asks: "leave", unasked: [2, 2] },
  "keys inspect": { more: [], asks: "value", unasked: [2, 2] },
  ...Object.fromEntries(
    ["keys secret-keys", "secret-keys", "keys public-keys", "public-keys"].flatMap((group) => [
      [`${group} create`, nothing("ci")],
      [`${group} list`, nothing()],
      [`${group} get`, ofKey],
      [`${group} update`, nothing(keyId, "--name", "b")],
      [`${group} revoke`, revoke],
      [`${group} rotate`, rotate],
      [`${group} usage`, ofKey],
    ]),
  ),
  "audit list": nothing(),
  "audit verify": nothing(),
  "logs query": nothing(),
  "logs tail": nothing("--limit", "1"),
  "logs volume": nothing(),
  "logs patterns": nothing(),
  "logs send": nothing("/dev/null"),
  "projects list": nothing(),
  "projects create": nothing("shop"),
  "projects use": nothing(projectId),
  "organizations list": nothing(),
  "threads list": nothing(),
  "profiles list": nothing(),
  "profiles use": nothing("work"),
  "profiles create": nothing("next"),
  "profiles delete": nothing("spare"),
  "config get": nothing("apiUrl"),
  "config set": nothing("apiUrl", "http://127.0.0.1:4600"),
  "config unset": nothing("apiUrl"),
  "config list": nothing(),
  "config path": nothing(),
  completion: nothing("bash"),
  api: nothing("GET", "/v1/me"),
  open: nothing("docs"),
  doctor: nothing(),
};

const revokeAll = { revoked: [], revokedCount: 0 };

async function service() {
  const rotation = {
    previousMasked: "sk_live_…wxyz",
    previousExpiresAt: "2099-01-01T00:00:00.000Z",
    currentUses: 1,
    previousUses: 0,
    previousLastUsedAt: null,
    previousLastUsedAddress: null,
  };
  const key = secretKeyOf("abcd", { rotation });
  const answers = (["secret", "public"] as const).flatMap((kind) => {
    const answer = () => ({ body: { [`${kind}Key`]: { ...key, kind } } });
    const path = `/v1/${kind}-keys/${keyId}`;
    return [`GET ${path}`, `DELETE ${path}`, `POST ${path}/deactivate`, `POST ${path}/rotate/finish`].map(
      (route) => [route, answer] as const,
    );
  });
  return startService({ ...Object.fromEntries(answers), "POST /v1/keys/revoke-all": () => ({ body: revokeAll }) });
}

/** Runs it where every question is noted, and answered with no. `columns`: at a terminal. */
async function open(words: string, more: readonly string[]) {
  const { env, asked, secretKey } = await service();
  const world = terminal({ env });
  for (const name of ["work", "spare"]) await world.run(["profiles", "create", name]);
  return async (options: readonly string[], columns?: number) => {
    const [questions, before] = [[] as string[], asked.length];
    const argv = [...words.split(" "), ...more.map((word) => (word === "KEY" ? secretKey : word)), ...options];
    const { code, out, err } = await world.run(argv, { questions, typed: ["n"], ...(columns ? { columns } : {}) });
    const changes = asked
      .slice(before)
      .filter(({ method, path }) => method === "DELETE" || /finish|deactivate|revoke-all/.test(path));
    return { code, err, questions: questions.length, done: changes.length > 0 || out.includes(secretKey) };
  };
}

describe("a question", () => {
  test("is a matter of every command: each says here whether it asks one", async () => {
    expect(Object.keys(commands).toSorted()).toEqual([...(await runnableCommands()).keys()].toSorted());
  });

  test("can be answered beforehand with --yes where it asks for leave, and only there", async () => {
    for (const [words, command] of await runnableCommands()) {
      const hasYes = command.options.some(({ long, short }) => long === "--yes" && short === "-y");
      expect({ words, hasYes }).toEqual({ words, hasYes: commands[words]?.asks === "leave" });
    }
  });

  test.each(Object.entries(commands))("%s", async (words, { more, asks, unasked }) => {
    const run = await open(words, more);
    const atTerminal = await run([], 80);
    expect(atTerminal.questions).toBe(asks === "nothing" ? 0 : 1);
    if (asks === "leave") expect(atTerminal).toMatchObject({ done: false, code: 1 });

    const [withNoInput, withoutTerminal] = [await run(["--no-input"], 80), await run([])];
    expect([withNoInput.questions, withoutTerminal.questions]).toEqual([0, 0]);
    if (unasked) expect([withNoInput.code, withoutTerminal.code]).toEqual(unasked);
    // A refusal says what to do instead.
    if (unasked?.[0] === 2) expect(withNoInput.err).toMatch(/--|stdin|There are:/);

    if (asks !== "leave") return;
    for (const columns of [80, undefined]) {
      expect(await run(["--yes"], columns)).toMatchObject({ code: 0, questions: 0, done: true });
    }
  });
});
