import { describe, expect, test } from "vitest";
import { hasTmux, openScreen } from "../support/screen.ts";
import { type Answer, keyId, projectId, secretKeyOf, startService } from "../support/service.ts";

const sizes = [
  [80, 24],
  [60, 15],
] as const;

const meta = { count: 1, took: 1, from: "2026-11-21T08:00:00.000Z", to: "2026-11-22T08:00:00.000Z", warnings: [] };

const entriesOf = (count: number) =>
  Array.from({ length: count }, (_, i) => ({
    id: `${i + 1}`,
    projectId,
    timestamp: "2026-11-22T07:59:58.123Z",
    level: "error",
    severity: "ERROR",
    service: "shop",
    environment: null,
    message: `entry number ${i + 1}.`,
    body: "",
    trace_id: null,
    span_id: null,
    attributes: {},
    resource: {},
  }));

const keys = Array.from({ length: 4 }, (_, i) =>
  secretKeyOf("wxyz", { name: `a key with a rather long name, no ${i}` }),
);

/** A service whose answers wait until they are let go. */
function held(answer: Answer) {
  let letGo = () => {};
  const waits = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  return { answer: () => waits.then(() => answer), letGo: () => letGo() };
}

/** More than the pipes between us and a pager hold. */
const withPages = () => {
  let page = 0;
  return startService({
    "POST /v1/logs/query": () => ({ body: { data: entriesOf(1000), nextCursor: `${++page}`, meta } }),
    "GET /v1/secret-keys": () => ({ body: { secretKeys: keys, nextCursor: null } }),
  });
};

describe.skipIf(!hasTmux).each(sizes)("at a terminal of %i x %i (needs tmux)", (columns, rows) => {
  test("a table fits, whole ids and all, and what was left out is named", async () => {
    const { env } = await withPages();
    const screen = await openScreen(columns, rows, env);
    screen.sazabi("keys secret-keys list");
    const shown = await screen.until(/Left out to fit the terminal: .*\./s);
    const lines = shown.split("\n");
    expect(lines.filter((line) => line.startsWith(keyId))).toHaveLength(4);
    expect(lines[0]).toMatch(/^ID +NAME +(KEY +)?STATUS/);
    // None of them wraps.
    expect(lines.findIndex((line) => line.startsWith("Left out"))).toBe(5);
    expect(await screen.exitCode()).toBe(0);
  });

  test("what is longer than the screen opens a pager, and leaving it is the end", async () => {
    const { env, asked } = await withPages();
    const screen = await openScreen(columns, rows, env);
    screen.sazabi("logs query --all");
    const first = await screen.until(/^:$/m);
    expect(first).toContain("entry number 1.");
    expect(first.split("\n").length).toBe(rows);
    screen.press("Space");
    await screen.until(new RegExp(`entry number ${rows + 2}\\.`));
    screen.press("q");
    expect(await screen.exitCode()).toBe(0);
    expect(screen.shown()).not.toMatch(/error:|EPIPE/);
    expect(screen.cursorIsVisible()).toBe(true);
    // Pages are asked for as they are read.
    expect(asked.length).toBeLessThan(10);
  });

  test("what there is to say comes when the pager is left", async () => {
    const { env } = await withPages();
    const screen = await openScreen(columns, rows, env);
    screen.sazabi("logs query --limit 50");
    await screen.until(/^:$/m);
    expect(screen.shown()).not.toContain("50 shown");
    screen.press("G");
    await screen.until(/entry number 50\./);
    screen.press("q");
    await screen.until(/50 shown, more match/);
    expect(await screen.exitCode()).toBe(0);
  });

  test.each(["--no-pager", "SAZABI_PAGER=cat", "SAZABI_PAGER=there-is-no-such-pager", "what fits"])(
    "%s opens none, and is no error",
    async (way) => {
      const { env } = await withPages();
      const [name, value] = way.split("=");
      const screen = await openScreen(columns, rows, { ...env, ...(name && value ? { [name]: value } : {}) });
      const count = way === "what fits" ? 5 : 50;
      screen.sazabi(`logs query --limit ${count} ${way.startsWith("--") ? way : ""}`);
      await screen.until(new RegExp(`${count} shown, more match`));
      expect(screen.shown()).toContain(`entry number ${count}.`);
      expect(await screen.exitCode()).toBe(0);
    },
  );

  test("a wait shows, and goes with the answer", async () => {
    const { answer, letGo } = held({ body: { organizations: [{ id: "o", name: "Acme", slug: "acme" }] } });
    const { env } = await startService({ "GET /v1/organizations": answer });
    const screen = await openScreen(columns, rows, env);
    screen.sazabi("organizations list");
    const first = await screen.until(/[-|/\\] waiting…/);
    await screen.until(
      new RegExp(
        `^(?!${first
          .trim()
          .charAt(0)
          .replace(/[|\\/]/, "\\$&")})[-|/\\\\] waiting…`,
        "m",
      ),
    );
    letGo();
    await screen.until(/Acme/);
    expect(screen.shown()).not.toContain("waiting");
    expect(await screen.exitCode()).toBe(0);
  });

  test("a wait does not show with --json, --quiet or CI", async () => {
    const { answer, letGo } = held({ body: { organizations: [] } });
    const { env, asked } = await startService({ "GET /v1/organizations": answer });
    const screen = await openScreen(columns, rows, env);
    for (const [i, how] of ["--json", "--ndjson", "--csv", "--quiet"].entries()) {
      screen.sazabi(`organizations list ${how} > out.txt`);
      while (asked.length <= i) await new Promise((resolve) => setTimeout(resolve, 20));
      // Longer than it takes to show.
      await new Promise((resolve) => setTimeout(resolve, 1000));
      expect(screen.shown()).not.toContain("waiting");
      screen.press("C-c");
      expect(await screen.exitCode()).toBe(130);
    }
    letGo();
  });

  test("a typed key does not show, a typed answer does", async () => {
    const { url, secretKey } = await startService();
    const screen = await openScreen(columns, rows, { SAZABI_API_URL: url });
    screen.sazabi("auth login --store file");
    await screen.until(/Secret key:/);
    screen.type(secretKey);
    screen.press("Enter");
    const shown = await screen.until(/Logged in to Acme/);
    expect(shown.replaceAll("\n", "")).not.toContain(secretKey.slice(8, -4));
    expect(await screen.exitCode()).toBe(0);
    screen.sazabi("auth switch");
    expect(await screen.until(/Number or name:/)).toContain("* 1  default (Acme");
    screen.type("9");
    screen.press("BSpace");
    screen.type("1");
    await screen.until(/Number or name: 1$/m);
    screen.press("Enter");
    await screen.until(/is now used by default/);
  });

  describe("Ctrl-C gives the terminal back as it was", () => {
    const stops = {
      "at a hidden question": { argv: "auth login --store file", shows: /Secret key:/ },
      "at a question": { argv: `keys secret-keys revoke ${keyId}`, shows: /\[y\/N\]/ },
      "while it waits": { argv: "projects list", shows: /waiting…/ },
      "in a long query": { argv: "logs query --all --no-pager", shows: /entry number \d+/ },
    };

    test.each(Object.entries(stops))("%s", async (_, { argv, shows }) => {
      const { env } = await startService({
        "GET /v1/projects": () => new Promise(() => {}),
        [`GET /v1/secret-keys/${keyId}`]: () => ({ body: { secretKey: keys[0] } }),
        "POST /v1/logs/query": async () => {
          await new Promise((resolve) => setTimeout(resolve, 20));
          return { body: { data: entriesOf(20), nextCursor: `${Math.random()}`, meta } };
        },
      });
      const screen = await openScreen(columns, rows, env);
      const before = await screen.settings();
      screen.sazabi(argv);
      await screen.until(shows);
      screen.press("C-c");
      expect(await screen.exitCode()).toBe(130);
      expect(await screen.settings()).toBe(before);
      expect(screen.cursorIsVisible()).toBe(true);
    });

    test("in a pager, which stays until it is left", async () => {
      const { env } = await withPages();
      const screen = await openScreen(columns, rows, env);
      const before = await screen.settings();
      screen.sazabi("logs query --all");
      await screen.until(/^:$/m);
      screen.press("C-c");
      // The pager drops what was typed before it has dealt with the interrupt.
      const line = new RegExp(`entry number ${rows + 2}\\.`);
      const pressed = () => {
        screen.press("j");
        return screen.shown();
      };
      await expect.poll(pressed, { timeout: 30_000, interval: 200 }).toMatch(line);
      screen.press("q");
      expect([0, 130]).toContain(await screen.exitCode());
      expect(await screen.settings()).toBe(before);
      expect(screen.cursorIsVisible()).toBe(true);
    });
  });
});
