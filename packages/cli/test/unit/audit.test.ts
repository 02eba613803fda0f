import { createHash } from "node:crypto";
import { type AuditEvent, auditActions, auditText, firstPreviousHash } from "@sazabi/sdk";
import { describe, expect, test } from "vitest";
import { keyId, startService } from "../support/service.ts";
import { terminal } from "../support/terminal.ts";

function chain(length: number): AuditEvent[] {
  let previousHash = firstPreviousHash;
  return Array.from({ length }, (_, i) => {
    const event = {
      id: `e-${i + 1}`,
      seq: i + 1,
      organizationId: "org-1",
      at: "2026-11-22T08:00:00.000Z",
      actor: { kind: "key", id: keyId, name: "first" } as const,
      action: "secret_key.created",
      target: { kind: "secret_key", id: keyId, name: `key ${i + 1}\u001b[2J` } as const,
      details: {},
      address: "203.0.113.9",
      requestId: "req-1",
      previousHash,
    };
    previousHash = createHash("sha256").update(auditText(event)).digest("hex");
    return { ...event, hash: previousHash };
  });
}

const serve = (events: readonly AuditEvent[]) =>
  startService({
    "GET /v1/audit": ({ query }) => {
      const below = events.filter(({ seq }) => seq < Number(query.cursor ?? Number.POSITIVE_INFINITY)).toReversed();
      const page = below.slice(0, Number(query.limit));
      const nextCursor = page.length < below.length ? `${page.at(-1)?.seq}` : null;
      const last = events.at(-1) as AuditEvent;
      return { body: { events: page, nextCursor, head: { seq: last.seq, hash: last.hash } } };
    },
  });

describe("audit list", () => {
  test("fits a narrow terminal, whatever names it shows", async () => {
    const events = chain(3).map((event) => ({
      ...event,
      action: "secret_key.rotation_shortened",
      actor: { ...event.actor, name: "x".repeat(80) },
    }));
    const { env } = await serve(events);
    for (const columns of [60, 80]) {
      const { out } = await terminal({ env: { ...env, NO_COLOR: "1" }, columns }).run(["audit", "list"]);
      expect(Math.max(...out.split("\n").map((line) => line.length))).toBeLessThanOrEqual(columns);
      expect(out).toContain("secret_key.rotation_shortened");
    }
  });

  test("passes filters on, and shows what drives a terminal instead of doing it", async () => {
    const { env, asked } = await serve(chain(3));
    const { run } = terminal({ env, now: new Date("2026-11-22T10:00:00Z") });
    const filters = [
      "--action",
      "secret_key.created",
      "--actor",
      keyId,
      "--target",
      keyId,
      "--since",
      "1h",
      "--to",
      "now",
    ];
    const { code, out } = await run(["audit", "list", ...filters]);
    expect(code).toBe(0);
    expect(out).not.toContain("\u001b");
    expect(out.trimEnd().split("\n")).toHaveLength(4);
    expect(asked[0]?.query).toEqual({
      limit: "50",
      action: "secret_key.created",
      actorId: keyId,
      targetId: keyId,
      from: "2026-11-22T09:00:00.000Z",
      to: "2026-11-22T10:00:00.000Z",
    });
    expect(JSON.parse((await run(["audit", "list", "--limit", "2", "--json"])).out)).toMatchObject({ nextCursor: "2" });
    expect((await run(["audit", "list", "--actor", "me"])).code).toBe(2);
  });
});

describe("audit list --action", () => {
  test.each([
    ["secret_key.create", "Did you mean secret_key.created?"],
    ["secret_key.revokd", "Did you mean secret_key.revoked?"],
    ["revoked", "There are: secret_key.revoked, public_key.revoked."],
    ["project", "There are: project.created, project.renamed, project.retention_set."],
    ["nonsense", "There are: organization.created, "],
  ])("refuses %s, and says what there is", async (action, hint) => {
    const { env, asked } = await serve(chain(3));
    const { code, err } = await terminal({ env }).run(["audit", "list", "--action", action]);
    expect(code).toBe(2);
    expect(err).toContain(`No action is called ${action}. ${hint}`);
    expect(asked).toEqual([]);
  });

  test.each(auditActions)("takes %s", async (action) => {
    const { env, asked } = await serve(chain(3));
    expect((await terminal({ env }).run(["audit", "list", "--action", action])).code).toBe(0);
    expect(asked[0]?.query).toMatchObject({ action });
  });
});

describe("audit verify", () => {
  test("says how many, and gives a head to note down", async () => {
    const events = chain(1200);
    const { env, asked } = await serve(events);
    const { run } = terminal({ env });
    const head = `1200:${events.at(-1)?.hash}`;
    expect(await run(["audit", "verify"])).toEqual({
      code: 0,
      out: `1200 events, chain intact, head ${head}\n`,
      err: "",
    });
    expect(asked).toHaveLength(2);
    expect((await run(["audit", "verify", "--known-head", head])).code).toBe(0);
    expect((await run(["audit", "verify", "--known-head", "7"])).code).toBe(2);
  });

  test("names the first event that does not hold", async () => {
    const events = chain(6);
    const forged = events.map((event) => (event.seq === 3 ? { ...event, address: "198.51.100.1" } : event));
    const { env } = await serve(forged);
    const { run } = terminal({ env });
    const { code, out, err } = await run(["audit", "verify"]);
    expect({ code, out }).toEqual({ code: 1, out: "" });
    expect(err).toContain("event 3 (secret_key.created, 2026-11-22T08:00:00.000Z) was altered");
    const json = await run(["audit", "verify", "--json"]);
    expect(JSON.parse(json.out)).toMatchObject({ ok: false, events: 6, fault: { seq: 3, problem: "altered" } });
    expect(JSON.parse(json.err)).toMatchObject({ code: "CHAIN_BROKEN", exitCode: 1 });
  });
});
