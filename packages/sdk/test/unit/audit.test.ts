import { createHash } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { type AuditEvent, type AuditHead, auditText, firstPreviousHash, SazabiAdmin } from "../../src/index.ts";
import { someKey } from "../support/keys.ts";
import { startLoopback } from "../support/loopback.ts";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const hashOf = (event: Omit<AuditEvent, "hash">) => createHash("sha256").update(auditText(event)).digest("hex");

function chain(length: number): AuditEvent[] {
  let previousHash = firstPreviousHash;
  return Array.from({ length }, (_, i) => {
    const event = {
      id: `e-${i + 1}`,
      seq: i + 1,
      organizationId: "o-1",
      at: "2026-11-22T08:00:00.000Z",
      actor: { kind: "system", name: "sazabi" } as const,
      action: "secret_key.created",
      target: { kind: "secret_key", id: "k-1", name: "Schlüssel 日本" } as const,
      details: { scopes: ["*"], nested: { b: 1, a: null } },
      address: null,
      requestId: null,
      previousHash,
    };
    previousHash = hashOf(event);
    return { ...event, hash: previousHash };
  });
}

const headOf = (events: readonly AuditEvent[]): AuditHead => {
  const last = events.at(-1);
  return last ? { seq: last.seq, hash: last.hash } : { seq: 0, hash: firstPreviousHash };
};

async function auditOf(events: readonly AuditEvent[], head = headOf(events)) {
  const { url, asked, close } = await startLoopback({
    "GET /v1/audit": ({ query }) => {
      const below = events.filter(({ seq }) => seq < Number(query.cursor ?? Number.POSITIVE_INFINITY)).toReversed();
      const page = below.slice(0, Number(query.limit));
      const nextCursor = page.length < below.length ? `${page.at(-1)?.seq}` : null;
      return { body: { events: page, nextCursor, head } };
    },
  });
  closers.push(close);
  return { asked, audit: new SazabiAdmin({ secretKey: someKey("secret"), baseUrl: url }).audit };
}

describe("audit.list", () => {
  test("gives a page, and the head of the chain whatever was filtered", async () => {
    const events = chain(3);
    const { audit, asked } = await auditOf(events);
    const page = await audit.list({
      action: "secret_key.created",
      actorId: "a",
      from: "2026-11-22T00:00:00Z",
      limit: 2,
    });
    expect(page.items.map(({ seq }) => seq)).toEqual([3, 2]);
    expect(page).toMatchObject({ nextCursor: "2", head: headOf(events) });
    expect(asked[0]?.query).toEqual({
      action: "secret_key.created",
      actorId: "a",
      from: "2026-11-22T00:00:00Z",
      limit: "2",
    });
  });
});

describe("audit.verify", () => {
  test.each([0, 1, 999, 1000, 1001, 2500])("finds nothing wrong with a chain of %i", async (length) => {
    const events = chain(length);
    const { audit } = await auditOf(events);
    expect(await audit.verify()).toEqual({ ok: true, events: length, head: headOf(events) });
  });

  const altered = (events: readonly AuditEvent[], seq: number, more: object) =>
    events.map((event) => (event.seq === seq ? { ...event, ...more } : event));
  const rehashed = (events: readonly AuditEvent[], seq: number) =>
    altered(events, seq, { details: { forged: true } }).map((event) =>
      event.seq === seq ? { ...event, hash: hashOf(event) } : event,
    );

  test.each([
    ["its content was altered", altered(chain(9), 4, { address: "203.0.113.9" }), { seq: 4, problem: "altered" }],
    ["its hash was altered", altered(chain(9), 4, { hash: "f".repeat(64) }), { seq: 4, problem: "altered" }],
    ["it was altered and hashed anew", rehashed(chain(9), 4), { seq: 4, problem: "unlinked" }],
    ["it is missing", chain(9).filter(({ seq }) => seq !== 4), { seq: 4, problem: "missing" }],
    [
      "it is missing with its neighbours",
      chain(9).filter(({ seq }) => seq < 4 || seq > 6),
      { seq: 4, problem: "missing" },
    ],
    ["the first is missing", chain(9).slice(1), { seq: 1, problem: "missing" }],
    [
      "several are wrong",
      altered(altered(chain(9), 7, { address: "a" }), 2, { address: "b" }),
      { seq: 2, problem: "altered" },
    ],
  ])("names the first event that does not hold: %s", async (_, events, fault) => {
    const { audit } = await auditOf(events, headOf(chain(9)));
    expect(await audit.verify()).toMatchObject({ ok: false, events: events.length, fault });
  });

  test("sees that the end was cut off", async () => {
    const { audit } = await auditOf(chain(5), headOf(chain(9)));
    expect(await audit.verify()).toMatchObject({ ok: false, fault: { seq: 6, problem: "missing" } });
  });

  test("sees against a head from before that the end was cut off with its head, or written anew", async () => {
    const known = headOf(chain(9));
    const cut = await auditOf(chain(5));
    expect(await cut.audit.verify({ known })).toMatchObject({ ok: false, fault: { seq: 6, problem: "missing" } });
    const anew = await auditOf(rehashed(chain(9), 9));
    expect((await anew.audit.verify()).ok).toBe(true);
    expect(await anew.audit.verify({ known })).toMatchObject({ ok: false, fault: { seq: 9, problem: "unlinked" } });
    const grown = await auditOf(chain(20));
    expect((await grown.audit.verify({ known })).ok).toBe(true);
  });

  test("is not disturbed by what is done while it reads", async () => {
    const { audit } = await auditOf(chain(12), headOf(chain(10)));
    expect(await audit.verify()).toEqual({ ok: true, events: 10, head: headOf(chain(10)) });
  });
});
