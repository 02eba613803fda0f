import { createHash, randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { bearer, queryDatabase, send, startTestService, type TestService } from "./support/index.ts";

/*
 * The emergency lever has to work when it is needed: with as many keys as an organization may have, and while a leaked key
 * and its children do what they can to be in its way.
 */

let service: TestService;
let admin: Record<string, string>;

beforeEach(async () => {
  service = await startTestService();
  admin = bearer(service.secretKey);
});
afterEach(() => service.close());

const revokeAll = () => send(service, "POST /v1/keys/revoke-all", { headers: admin, body: { except: ["caller"] } });

async function countKeys(condition: string): Promise<number> {
  const { rows } = await queryDatabase(service.databaseUrl, `select count(*)::int as n from keys where ${condition}`);
  return rows[0].n;
}

test("50,000 keys, of which the database has no statistics, are revoked and on record; there cannot be more of them", {
  timeout: 180_000,
}, async () => {
  const live = await countKeys("revoked_at is null");
  await queryDatabase(
    service.databaseUrl,
    `alter table keys set (autovacuum_enabled = false);
     alter table key_secrets set (autovacuum_enabled = false);
     with made as (
       insert into keys (organization_id, kind, style, name, scopes)
       select organization_id, 'secret', 'live', 'child ' || n, '{write:keys}'
       from keys k, generate_series(1, ${50_000 - live}) n where k.kind = 'secret'
       returning id
     )
     insert into key_secrets (digest, key_id, pepper_version, last_four)
     select sha256(id::text::bytea), id, 1, 'wxyz' from made`,
  );
  const oneMore = await send(service, "POST /v1/secret-keys", { headers: admin, body: { name: "one more" } });
  expect(oneMore).toMatchObject({ status: 409, body: { message: expect.stringContaining("50000 keys") } });
  const { status, body } = await revokeAll();
  expect(status).toBe(200);
  expect(body.revokedCount).toBe(49_999);
  expect(body.revoked).toHaveLength(1_000);
  expect(await countKeys("revoked_at is null")).toBe(1);
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `select count(*)::int as events, count(distinct target ->> 'id')::int as keys,
            bool_and(previous_hash = before or before is null) as "isChained"
     from (select *, lag(hash) over (order by seq) as before from audit_events) e where action like '%.revoked'`,
  );
  expect(rows).toEqual([{ events: 49_999, keys: 49_999, isChained: true }]);
});

test("a leaked key whose children import keys without end is revoked at once, and so are they", {
  timeout: 120_000,
}, async () => {
  const make = async (key: string, name: string) => {
    const made = await send(service, "POST /v1/secret-keys", { headers: bearer(key), body: { name } });
    expect(made.status).toBe(201);
    return made.body.secretKey;
  };
  const leaked = await make(service.secretKey, "leaked");
  const children: { id: string; value: string }[] = [];
  while (children.length < 40) children.push(await make(leaked.value, "child"));
  let imported = 0;
  const importing = Promise.all(
    children.map(async ({ value }) => {
      for (;;) {
        const keys = Array.from({ length: 500 }, () => ({
          kind: "secret",
          name: "import",
          prefix: "evil_",
          sha256: createHash("sha256").update(randomBytes(16)).digest("hex"),
        }));
        const { status } = await send(service, "POST /v1/keys/import", { headers: bearer(value), body: { keys } });
        if (status !== 201) return status;
        imported += 500;
      }
    }),
  );
  await expect.poll(() => imported, { timeout: 30_000 }).toBeGreaterThan(1_000);
  const before = imported;
  const deleted = await send(service, `DELETE /v1/secret-keys/${leaked.id}`, { headers: admin });
  expect(deleted.status).toBe(204);
  // It waited for what was under way, and not for all who were in the line.
  expect(imported - before).toBeLessThanOrEqual(3 * 500);
  expect((await revokeAll()).status).toBe(200);
  expect(await countKeys("revoked_at is null")).toBe(1);
  expect(new Set(await importing)).toEqual(new Set([401]));
  expect(await countKeys("revoked_at is null")).toBe(1);
});
