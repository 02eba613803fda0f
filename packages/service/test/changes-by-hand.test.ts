import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { queryDatabase, startTestService, type TestService } from "./support/index.ts";

/*
 * An operator changes rows by hand in psql, as a role of their own whose search_path does not name our schema.
 */

const role = `operator_${randomBytes(5).toString("hex")}`;
let service: TestService;
let operator: pg.Client;

beforeAll(async () => {
  service = await startTestService();
  const { databaseUrl } = service;
  await queryDatabase(databaseUrl, `create role ${role} login password 'operator'`);
  await queryDatabase(databaseUrl, `grant usage on schema sazabi to ${role}`);
  await queryDatabase(databaseUrl, `grant all on all tables in schema sazabi to ${role}`);
  const url = Object.assign(new URL(databaseUrl), { username: role, password: "operator" }).href;
  operator = new pg.Client({ connectionString: url });
  await operator.connect();
});
afterAll(async () => {
  await operator.end();
  await queryDatabase(service.databaseUrl, `drop owned by ${role}; drop role ${role}`);
  await service.close();
});

const keyId = "(select id from sazabi.keys where name = 'by hand')";
const organizationId = "(select id from sazabi.organizations limit 1)";

/** Statements for each table that has a trigger, in an order that leaves nothing behind. */
const statements: readonly (readonly [table: string, statement: string])[] = [
  [
    "keys",
    `insert into sazabi.keys (organization_id, kind, style, name, scopes, imported_prefix)
     values (${organizationId}, 'secret', 'live', 'by hand', '{*}', 'acme_')`,
  ],
  [
    "key_secrets",
    `insert into sazabi.key_secrets (digest, key_id, pepper_version, last_four)
     values (sha256('by hand'), ${keyId}, 0, '????')`,
  ],
  ["organizations", "insert into sazabi.organizations (name, slug) values ('by hand', 'by hand')"],
  ["key_secrets", `update sazabi.key_secrets set retires_at = now() where key_id = ${keyId}`],
  ["keys", "update sazabi.keys set revoked_at = now() where name = 'by hand'"],
  ["organizations", "update sazabi.organizations set disabled_at = now() where slug = 'by hand'"],
  ["key_secrets", `delete from sazabi.key_secrets where key_id = ${keyId}`],
  ["keys", "delete from sazabi.keys where name = 'by hand'"],
  ["organizations", "delete from sazabi.organizations where slug = 'by hand'"],
];

test.each(statements)("%s: %s", async (_, statement) => {
  expect((await operator.query("show search_path")).rows[0].search_path).not.toContain("sazabi");
  expect((await operator.query(statement)).rowCount).toBe(1);
});

test("a change by hand is announced to every process", async () => {
  const head = async () =>
    Number((await queryDatabase(service.databaseUrl, "select seq from key_change_head")).rows[0].seq);
  const before = await head();
  await operator.query("update sazabi.keys set name = 'renamed by hand' where kind = 'public'");
  expect(await head()).toBe(before + 1);
});

test("the statements above cover every table that has a trigger", async () => {
  const { rows } = await queryDatabase(
    service.databaseUrl,
    `select distinct c.relname as table from pg_trigger t join pg_class c on c.oid = t.tgrelid
     where not t.tgisinternal and c.relnamespace = 'sazabi'::regnamespace`,
  );
  expect(new Set(statements.map(([table]) => table))).toEqual(new Set(rows.map(({ table }) => table)));
});

test("every function of the schema sets its own search_path", async () => {
  const { rows } = await queryDatabase(
    service.databaseUrl,
    // Those of the extension pg_trgm, which may lie here too, are written in C.
    `select proname as name, proconfig as settings from pg_proc p join pg_language l on l.oid = p.prolang
     where pronamespace = 'sazabi'::regnamespace and lanname <> 'c'`,
  );
  expect(rows.length).toBeGreaterThan(0);
  for (const { name, settings } of rows) {
    expect({ name, settings }).toEqual({ name, settings: ["search_path=sazabi, pg_temp"] });
  }
});

test("the trigger that refuses entries, once they are in ClickHouse, works by hand too", async () => {
  await queryDatabase(
    service.databaseUrl,
    "create trigger by_hand before insert on logs for each statement execute function refuse_entries()",
  );
  const stored = operator.query("insert into sazabi.logs values (1, now(), 1, 1, '', null, null, null, '', '{}')");
  await expect(stored).rejects.toMatchObject({ code: "SZ001" });
});
