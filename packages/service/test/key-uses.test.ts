import { afterAll, beforeAll, expect, test } from "vitest";
import { type Database, openDatabase } from "../src/db/database.ts";
import { type Sql, sql } from "../src/db/sql.ts";
import { newSecret } from "../src/keys/generate.ts";
import { insertKey } from "../src/keys/store/keys.ts";
import { addKeyUses, type KeyUse, listKeyUsage } from "../src/keys/usage/store.ts";
import { KeyUses, type UseCount } from "../src/keys/usage/uses.ts";
import { insertOrganization } from "../src/organizations/store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { newKeyring } from "./support/keyring.ts";

let database: FreshDatabase;
let db: Database;
let organizationId: string;

beforeAll(async () => {
  database = await freshDatabase();
  db = openDatabase({ url: database.url, connections: 2 });
  organizationId = (await insertOrganization(db, { name: "o", slug: "o" }))?.id as string;
});
afterAll(async () => {
  await db.close();
  await database.drop();
});

async function makeKey(name: string): Promise<string> {
  const common = { organizationId, projectId: undefined, kind: "secret", style: "live", name, scopes: ["*"] } as const;
  const secret = newSecret(newKeyring(), "secret", "live");
  return (await insertKey(db, { ...common, expiresAt: undefined, createdBy: undefined }, secret)).id;
}

const minuteSeconds = 1_790_000_040;

function use(keyId: string, members: Partial<KeyUse> = {}): KeyUse {
  const lastUsedAtMs = minuteSeconds * 1000 + 1_234;
  const times = { minuteSeconds, lastUsedAtMs, lastValidAtMs: lastUsedAtMs };
  const common = { generation: 1, ...times, accepted: 1, refused: 0, address: "192.0.2.1" };
  return { keyId, ...common, agent: undefined, ...members };
}

async function lastUse(keyId: string, generation = 1) {
  const { rows } = await db.query<Record<string, unknown>>(sql`
    select uses::int, last_used_at as at, last_used_address as address, last_used_agent as agent
    from key_secret_uses where key_id = ${keyId} and generation = ${generation}`);
  return rows[0];
}

test("a program's name is kept as it was sent, with every sign that a list of texts might stumble over", async () => {
  const agents = [
    'a,b {c} "d" \\e\\',
    "null",
    "NULL",
    "{}",
    "",
    " ",
    "'; drop table keys; --",
    "curl/8.5 ü",
    undefined,
  ];
  const ids = await Promise.all(agents.map((_, index) => makeKey(`key ${index}`)));
  const addresses = ["2001:db8::1", "unknown"];
  await addKeyUses(
    db,
    ids.map((id, index) => use(id, { agent: agents[index], address: addresses[index % 2] as string })),
  );
  for (const [index, id] of ids.entries()) {
    expect(await lastUse(id)).toEqual({
      uses: 1,
      at: new Date(minuteSeconds * 1000 + 1_234),
      address: addresses[index % 2],
      agent: agents[index] ?? null,
    });
  }
});

test("uses of a key are summed for each of its secrets and minutes, and the latest one says from where", async () => {
  const id = await makeKey("rotated");
  const other = await makeKey("other");
  const later = { minuteSeconds: minuteSeconds + 60, lastUsedAtMs: (minuteSeconds + 61) * 1000 };
  await addKeyUses(db, [
    use(id, { ...later, accepted: 3, refused: 2, address: "192.0.2.3", agent: "later" }),
    use(other, { accepted: 100 }),
    use(id, { accepted: 5, agent: "earlier" }),
    use(id, { generation: 2, accepted: 7, agent: "new secret" }),
  ]);
  await addKeyUses(db, [use(id, { accepted: 1, refused: 1, agent: "written late" })]);
  expect(await lastUse(id)).toMatchObject({ uses: 12, address: "192.0.2.3", agent: "later" });
  expect(await lastUse(id, 2)).toMatchObject({ uses: 7, agent: "new secret" });
  const window = { from: new Date(minuteSeconds * 1000), to: new Date((minuteSeconds + 120) * 1000), stepSeconds: 60 };
  expect(await listKeyUsage(db, id, window)).toEqual([
    { start: window.from, generation: 1, accepted: 6, refused: 1 },
    { start: window.from, generation: 2, accepted: 7, refused: 0 },
    { start: new Date((minuteSeconds + 60) * 1000), generation: 1, accepted: 3, refused: 2 },
  ]);
});

function count(keyId: string): UseCount {
  const nothing = { minute: 0, accepted: 0, refused: 0, wasValid: false, lastUsedInMinuteMs: 0 };
  return { keyId, generation: 1, ...nothing, address: "192.0.2.1", agent: undefined };
}

/** Counts one use of each key and writes them. */
async function useAll(ids: readonly string[]): Promise<void> {
  const uses = new KeyUses(db);
  for (const id of ids) uses.record(count(id), "accepted", minuteSeconds * 1000, "192.0.2.1", undefined);
  await uses.close();
}

test("uses of a deleted key are left out, and those of all others are written", async () => {
  const [first, deleted, last] = [await makeKey("first"), await makeKey("deleted"), await makeKey("last")];
  await db.query(sql`delete from keys where id = ${deleted}`);
  await useAll([first, deleted, last]);
  expect(await lastUse(first)).toMatchObject({ uses: 1 });
  expect(await lastUse(last)).toMatchObject({ uses: 1 });
  expect(await lastUse(deleted)).toBeUndefined();
});

test("what the database refuses for what it is is dropped alone", async () => {
  const ids = await Promise.all(Array.from({ length: 9 }, (_, index) => makeKey(`refused ${index}`)));
  // As a key that is deleted at that very moment is refused, with SQLSTATE 23503.
  await db.query(sql`create table only_some (id uuid primary key)`);
  await db.query(sql`insert into only_some select unnest(${ids.slice(1)}::uuid[])`);
  await db.query(
    sql`alter table key_usage add constraint only_some_keys foreign key (key_id) references only_some not valid`,
  );
  await useAll(ids);
  await db.query(sql`alter table key_usage drop constraint only_some_keys`);
  expect(await lastUse(ids[0] as string)).toBeUndefined();
  for (const id of ids.slice(1)) expect(await lastUse(id)).toMatchObject({ uses: 1 });
});

test("uses that could not be written are written the next time, once", async () => {
  const id = await makeKey("away");
  let isAway = true;
  const uses = new KeyUses({
    ...db,
    query<Row>(statement: Sql) {
      if (isAway) throw Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
      return db.query<Row>(statement);
    },
  });
  const counted = count(id);
  for (let minute = 0; minute < 3; minute++) {
    uses.record(counted, "accepted", (minuteSeconds + minute * 60) * 1000, "192.0.2.1", undefined);
  }
  await uses.close();
  isAway = false;
  await uses.close();
  await uses.close();
  expect(await lastUse(id)).toMatchObject({ uses: 3 });
});

test("what is held of a key is written at once when it is asked for", async () => {
  const ids = await Promise.all(["flushed", "flushed, too", "written at the end"].map(makeKey));
  const counts = ids.map(count);
  const uses = new KeyUses(db);
  const record = (one: UseCount, minute = 0) =>
    uses.record(one, "accepted", (minuteSeconds + minute * 60) * 1000, "192.0.2.1", undefined);
  for (const one of counts) {
    record(one);
    // In another minute, so that the first waits among those that are over.
    record(one, 1);
  }
  await Promise.all([uses.flush(ids[0] as string), uses.flush(ids[1] as string), uses.flush(ids[0] as string)]);
  expect(await Promise.all(ids.slice(0, 2).map((id) => lastUse(id)))).toMatchObject([{ uses: 2 }, { uses: 2 }]);
  record(counts[0] as UseCount);
  await uses.flush(ids[0] as string);
  expect(await lastUse(ids[0] as string)).toMatchObject({ uses: 3 });
  await uses.close();
  expect(await lastUse(ids[2] as string)).toMatchObject({ uses: 2 });
});
