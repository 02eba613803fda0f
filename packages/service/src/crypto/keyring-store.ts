import { type Queryable, sqlState } from "../db/database.ts";
import { sql } from "../db/sql.ts";

export type KeyringName = "pepper" | "master";

/**
 * Records the fingerprints of the versions of a keyring. Returns the versions that this database knows
 * with another secret. Of two processes that start concurrently with different secrets, at most one
 * succeeds.
 */
export async function registerFingerprints(
  db: Queryable,
  keyring: KeyringName,
  fingerprints: readonly { readonly version: number; readonly fingerprint: Buffer }[],
): Promise<readonly number[]> {
  const versions = fingerprints.map(({ version }) => version);
  const values = fingerprints.map(({ fingerprint }) => fingerprint);
  await db.query(sql`
    insert into keyring_fingerprints (keyring, version, fingerprint)
    select ${keyring}, u.version, u.fingerprint from unnest(${versions}::smallint[], ${values}::bytea[]) as u(version, fingerprint)
    on conflict do nothing`);
  const { rows } = await db.query<{ version: number }>(sql`
    select k.version from keyring_fingerprints k
    join unnest(${versions}::smallint[], ${values}::bytea[]) as u(version, fingerprint) on u.version = k.version
    where k.keyring = ${keyring} and k.fingerprint <> u.fingerprint`);
  return rows.map(({ version }) => version);
}

/**
 * Returns the fingerprints of all keyrings that this database was written with, by version. Returns
 * none before the first migration.
 */
export async function listFingerprints(
  db: Queryable,
): Promise<readonly { readonly keyring: KeyringName; readonly version: number; readonly fingerprint: Buffer }[]> {
  try {
    const { rows } = await db.query<{ keyring: KeyringName; version: number; fingerprint: Buffer }>(
      sql`select keyring, version, fingerprint from keyring_fingerprints order by version`,
    );
    return rows;
  } catch (error) {
    if (sqlState(error) === undefinedTable) return [];
    throw error;
  }
}

const undefinedTable = "42P01";
