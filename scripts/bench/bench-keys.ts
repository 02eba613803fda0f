import { createHash, createHmac, randomInt } from "node:crypto";
import { makeKey } from "../../packages/sdk/src/protocol/keys.ts";
import { type Database, openDatabase } from "../../packages/service/src/db/database.ts";
import { sql } from "../../packages/service/src/db/sql.ts";

export interface BenchKey {
  readonly id: string;
  readonly value: string;
}

export function newKeyValues(count: number): string[] {
  return Array.from({ length: count }, () => makeKey("secret", "live", (below) => randomInt(below)));
}

/** Inserts keys directly into the tables: those of the service, and one for the naive look-up. */
export async function insertKeys(databaseUrl: string, pepper: Buffer, count: number): Promise<BenchKey[]> {
  const db = openDatabase({ url: databaseUrl, connections: 1, statementTimeoutMs: 0 });
  try {
    await db.query(sql`insert into organizations (name, slug) values ('bench', 'bench') on conflict do nothing`);
    await db.query(sql`
      create table if not exists bench_keys (
        id uuid primary key, hash text not null unique, name text not null, scopes text[] not null,
        expires_at timestamptz, revoked_at timestamptz)`);
    const keys: BenchKey[] = [];
    while (keys.length < count) keys.push(...(await insertSome(db, pepper, Math.min(count - keys.length, keysAtOnce))));
    await db.query(sql`analyze`);
    return keys;
  } finally {
    await db.close();
  }
}

/** Keys per statement, so that a busy machine finishes it before the statement timeout. */
const keysAtOnce = 5_000;

async function insertSome(db: Database, pepper: Buffer, count: number): Promise<readonly BenchKey[]> {
  const values = newKeyValues(count);
  const digests = values.map((value) => createHmac("sha256", pepper).update(value).digest());
  const hashes = values.map((value) => createHash("sha256").update(value).digest("hex"));
  const { rows } = await db.query<BenchKey>(sql`
      with given as (
        select gen_random_uuid() as id, v.*
        from unnest(${values}::text[], ${digests}::bytea[], ${hashes}::text[]) as v(value, digest, hash)
      ), made as (
        insert into keys (id, organization_id, kind, style, name, scopes, requests_per_minute)
        select g.id, o.id, 'secret', 'live', 'bench', '{*}', 1000000 from given g, organizations o where o.slug = 'bench'
      ), secrets as (
        insert into key_secrets (digest, key_id, pepper_version, last_four)
        select digest, id, 1, right(value, 4) from given
      ), naive as (
        insert into bench_keys (id, hash, name, scopes) select id, hash, 'bench', '{*}' from given
      )
      select id, value from given`);
  return rows;
}
