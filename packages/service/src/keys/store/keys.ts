import { randomUUID } from "node:crypto";
import {
  type Created,
  type GrantedScope,
  type KeyKind,
  type KeyStyle,
  maskOf,
  type PublicKey,
  type SecretKey,
} from "@sazabi/sdk/protocol";
import { unknownCursor } from "../../db/cursor.ts";
import type { Queryable } from "../../db/database.ts";
import { join, prepared, type Sql, sql } from "../../db/sql.ts";
import { type AddressList, addressList } from "../../net/ip-ranges.ts";
import { type OriginList, originList } from "../../net/origins.ts";

/**
 * The current database record of the key of a request. Includes dead keys, since the error states why
 * a key is dead.
 */
export interface KeyRecord {
  readonly id: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly organizationId: string;
  readonly projectId: string | undefined;
  /** The internal number of the project, under which logs are stored. */
  readonly projectNumber: number | undefined;
  readonly scopes: readonly string[];
  readonly requestsPerMinute: number | undefined;
  readonly allowedAddresses: readonly string[];
  /** The allowed addresses in a form for matching; undefined for any address. */
  readonly addresses: AddressList | undefined;
  /** Undefined when the key may be used on any page, and outside of browsers. */
  readonly origins: OriginList | undefined;
  readonly expiresAtMs: number | undefined;
  readonly revoked: boolean;
  /** Number of the secret that was sent: 1 for the first, incremented by each rotation. */
  readonly generation: number;
  /** When a replaced secret stops working; undefined for the current secret. */
  readonly retiresAtMs: number | undefined;
}

/** The owner of keys: an organization, or one project when the key of the caller is restricted to it. */
export interface KeyOwner {
  readonly organizationId: string;
  readonly projectId?: string | undefined;
}

export interface FoundKey {
  readonly record: KeyRecord;
  /** Version of the pepper under which the secret is stored. */
  readonly pepperVersion: number;
  /** Unix milliseconds by the clock of the database at the time of the query. */
  readonly databaseTimeMs: number;
}

/** The record of a key as JSON: reading one text costs a third of reading 15 columns. */
interface FoundRow {
  digest: string;
  id: string;
  kind: KeyKind;
  name: string;
  organization_id: string;
  project_id: string | null;
  project_number: number | null;
  scopes: string[];
  requests_per_minute: number | null;
  allowed_addresses: string[];
  allowed_origins: string[];
  expires_at_ms: number | null;
  revoked: boolean;
  generation: number;
  retires_at_ms: number | null;
  pepper_version: number;
  database_time_ms: number;
}

/** Returns the keys that have a secret with one of these digests, live or dead, by digest in base64. */
export async function findKeysByDigest(
  db: Queryable,
  digests: readonly Buffer[],
): Promise<ReadonlyMap<string, FoundKey>> {
  const { rows } = await db.query<{ found: readonly FoundRow[] | null }>(
    prepared(
      "find keys by digest",
      sql`
    select json_agg(json_build_object(
      'digest', encode(s.digest, 'base64'), 'id', k.id, 'kind', k.kind, 'name', k.name,
      'organization_id', k.organization_id, 'project_id', k.project_id, 'project_number', p.number,
      'scopes', k.scopes, 'requests_per_minute', k.requests_per_minute,
      'allowed_addresses', k.allowed_addresses, 'allowed_origins', k.allowed_origins,
      'expires_at_ms', extract(epoch from k.expires_at) * 1000,
      'revoked', k.revoked_at is not null or o.disabled_at is not null,
      'generation', s.generation, 'retires_at_ms', extract(epoch from s.retires_at) * 1000,
      'pepper_version', s.pepper_version,
      'database_time_ms', extract(epoch from clock_timestamp()) * 1000)) as found
    from key_secrets s
    join keys k on k.id = s.key_id
    join organizations o on o.id = k.organization_id
    left join projects p on p.id = k.project_id
    where s.digest = any(${digests})`,
    ),
  );
  return new Map((rows[0]?.found ?? []).map((row) => [row.digest, toFoundKey(row)]));
}

function toFoundKey(row: FoundRow): FoundKey {
  const record: KeyRecord = {
    id: row.id,
    kind: row.kind,
    name: row.name,
    organizationId: row.organization_id,
    projectId: row.project_id ?? undefined,
    projectNumber: row.project_number ?? undefined,
    scopes: row.scopes,
    requestsPerMinute: row.requests_per_minute ?? undefined,
    allowedAddresses: row.allowed_addresses,
    addresses: row.allowed_addresses.length > 0 ? addressList(row.allowed_addresses) : undefined,
    origins: row.allowed_origins.length > 0 ? originList(row.allowed_origins) : undefined,
    expiresAtMs: row.expires_at_ms ?? undefined,
    revoked: row.revoked,
    generation: row.generation,
    retiresAtMs: row.retires_at_ms ?? undefined,
  };
  return { record, pepperVersion: row.pepper_version, databaseTimeMs: row.database_time_ms };
}

/** Stores a secret under the current pepper instead of a retired one. */
export async function rehashSecret(
  db: Queryable,
  stored: Buffer,
  { digest, pepperVersion }: { digest: Buffer; pepperVersion: number },
): Promise<void> {
  await db.query(sql`
    update key_secrets set digest = ${digest}, pepper_version = ${pepperVersion} where digest = ${stored}`);
}

/** The stored form of a secret. */
export interface StoredSecret {
  readonly digest: Buffer;
  readonly pepperVersion: number;
  readonly lastFour: string;
}

export interface NewKey {
  readonly organizationId: string;
  readonly projectId: string | undefined;
  readonly kind: KeyKind;
  readonly style: KeyStyle;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | undefined;
  readonly requestsPerMinute?: number | null | undefined;
  readonly allowedAddresses?: readonly string[] | undefined;
  /** For public keys only. */
  readonly allowedOrigins?: readonly string[] | undefined;
  /** The key that creates this one; undefined at the first start. */
  readonly createdBy: string | undefined;
  /** Only for a key whose value can be read again. */
  readonly sealedValue?: Buffer;
  /** Set by the caller when the sealed value is bound to the id. */
  readonly id?: string;
}

/** Stores a key with its first secret. */
export async function insertKey(tx: Queryable, key: NewKey, secret: StoredSecret): Promise<SecretKey | PublicKey> {
  const { rows } = await tx.query<{ id: string }>(sql`
    with made as (
      insert into keys (id, organization_id, project_id, kind, style, name, scopes, expires_at, requests_per_minute,
                        allowed_addresses, allowed_origins, created_by, sealed_value)
      values (coalesce(${key.id ?? null}::uuid, gen_random_uuid()), ${key.organizationId}, ${key.projectId}, ${key.kind},
              ${key.style}, ${key.name}, ${key.scopes}, ${key.expiresAt}, ${key.requestsPerMinute},
              ${key.allowedAddresses ?? []}, ${key.allowedOrigins ?? []}, ${key.createdBy}, ${key.sealedValue})
      returning id
    ), secret as (
      insert into key_secrets (digest, key_id, pepper_version, last_four)
      select ${secret.digest}, made.id, ${secret.pepperVersion}, ${secret.lastFour} from made
    )
    select id from made`);
  return (await findKey(tx, key, key.kind, rows[0]?.id as string)) as SecretKey | PublicKey;
}

export interface ImportedKey extends Omit<NewKey, "organizationId" | "createdBy" | "style" | "sealedValue" | "id"> {
  /** The first characters of the key. */
  readonly prefix: string;
  /** The digest that detects a repeated import of the key. */
  readonly importedDigest: Buffer;
  readonly secret: StoredSecret;
}

/** Stores imported keys in one statement. Returns them in the same order. */
export async function insertImportedKeys(
  tx: Queryable,
  { organizationId, createdBy }: { organizationId: string; createdBy: string },
  imported: readonly ImportedKey[],
): Promise<readonly (SecretKey | PublicKey)[]> {
  const rows = imported.map((key) => ({ id: randomUUID(), ...toImportedRow(key) }));
  await tx.query(sql`
    with imported as (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}) as i(
        id uuid, project_id uuid, kind text, name text, scopes text[], expires_at timestamptz, requests_per_minute int,
        allowed_addresses text[], allowed_origins text[], imported_prefix text, imported_digest bytea, digest bytea,
        pepper_version smallint, last_four text)
    ), made as (
      insert into keys (id, organization_id, project_id, kind, style, name, scopes, expires_at, requests_per_minute,
                        allowed_addresses, allowed_origins, created_by, imported_prefix, imported_digest)
      select id, ${organizationId}, project_id, kind, 'live', name, scopes, expires_at, requests_per_minute,
             allowed_addresses, allowed_origins, ${createdBy}, imported_prefix, imported_digest
      from imported
      -- A fixed order prevents a deadlock between two concurrent imports of the same keys.
      order by digest
    )
    insert into key_secrets (digest, key_id, pepper_version, last_four)
    select digest, id, pepper_version, last_four from imported order by digest`);
  const ids = rows.map(({ id }) => id);
  return selectKeys(tx, sql`where k.id = any(${ids}::uuid[]) order by array_position(${ids}::uuid[], k.id)`);
}

function toImportedRow(key: ImportedKey) {
  return {
    project_id: key.projectId,
    kind: key.kind,
    name: key.name,
    scopes: key.scopes,
    expires_at: key.expiresAt,
    requests_per_minute: key.requestsPerMinute,
    allowed_addresses: key.allowedAddresses ?? [],
    allowed_origins: key.allowedOrigins ?? [],
    imported_prefix: key.prefix,
    imported_digest: toBytea(key.importedDigest),
    digest: toBytea(key.secret.digest),
    pepper_version: key.secret.pepperVersion,
    last_four: key.secret.lastFour,
  };
}

/** Returns those of the digests that belong to an imported key, live or dead, of any organization. */
export async function findImportedDigests(db: Queryable, digests: readonly Buffer[]): Promise<readonly Buffer[]> {
  const { rows } = await db.query<{ imported_digest: Buffer }>(
    sql`select imported_digest from keys where imported_digest = any(${digests})`,
  );
  return rows.map((row) => row.imported_digest);
}

/** Returns the prefixes of the imported keys of all organizations. */
export async function listImportedPrefixes(db: Queryable): Promise<readonly string[]> {
  const { rows } = await db.query<{ imported_prefix: string }>(
    sql`select distinct imported_prefix from keys where imported_prefix is not null and revoked_at is null`,
  );
  return rows.map((row) => row.imported_prefix);
}

/** Returns the number of distinct prefixes of the imported keys of an organization, without revoked keys. */
export async function countImportedPrefixes(db: Queryable, organizationId: string): Promise<number> {
  const { rows } = await db.query<{ count: number }>(sql`
    select count(distinct imported_prefix)::int as count from keys
    where organization_id = ${organizationId} and imported_prefix is not null and revoked_at is null`);
  return (rows[0] as (typeof rows)[0]).count;
}

export interface KeyPage {
  readonly limit: number;
  /** The id of the last key of the previous page. */
  readonly cursor?: string | undefined;
  /** Selects keys that were not used for this many days, or were created that long ago and never used. */
  readonly unusedForDays?: number | undefined;
  /** Whether revoked keys are included. By default, public ones are and secret ones are not. */
  readonly revoked?: boolean | undefined;
}

/**
 * Returns keys, newest first: one more than `limit` when there is a next page. `unusedForDays`
 * excludes revoked keys.
 */
export async function listKeys(
  db: Queryable,
  owner: KeyOwner,
  kind: KeyKind,
  { limit, cursor, unusedForDays, revoked = kind === "public" }: KeyPage,
): Promise<readonly (SecretKey | PublicKey)[]> {
  const conditions: Sql[] = [ownedBy(owner), sql`k.kind = ${kind}`];
  if (!revoked || unusedForDays !== undefined) conditions.push(sql`k.revoked_at is null`);
  if (unusedForDays !== undefined) conditions.push(unusedFor(unusedForDays));
  if (cursor) {
    conditions.push(sql`
      (k.created_at, k.id) < (
        select k.created_at, k.id from keys k where k.id = ${cursor} and k.kind = ${kind} and ${ownedBy(owner)}
      )`);
  }
  const keys = await selectKeys(
    db,
    sql`where ${join(conditions, " and ")} order by k.created_at desc, k.id desc limit ${limit + 1}`,
  );
  if (cursor && keys.length === 0 && !(await findKey(db, owner, kind, cursor))) throw unknownCursor();
  return keys;
}

/** Returns undefined when the owner has no such key of this kind. */
export async function findKey(
  db: Queryable,
  owner: KeyOwner,
  kind: KeyKind,
  id: string,
): Promise<SecretKey | PublicKey | undefined> {
  const keys = await selectKeys(db, sql`where k.id = ${id} and k.kind = ${kind} and ${ownedBy(owner)}`);
  return keys[0];
}

export interface KeyUpdate {
  readonly name?: string | undefined;
  /** Null clears it; undefined leaves it unchanged. */
  readonly expiresAt?: Date | null | undefined;
  readonly scopes?: readonly string[] | undefined;
  readonly requestsPerMinute?: number | null | undefined;
  readonly allowedAddresses?: readonly string[] | undefined;
  readonly allowedOrigins?: readonly string[] | undefined;
}

/** Returns undefined when the owner has no such live key. */
export async function updateKey(
  tx: Queryable,
  owner: KeyOwner,
  kind: KeyKind,
  id: string,
  { name, expiresAt, scopes, requestsPerMinute, allowedAddresses, allowedOrigins }: KeyUpdate,
): Promise<SecretKey | PublicKey | undefined> {
  const changes = [sql`name = coalesce(${name}, k.name)`];
  if (expiresAt !== undefined) changes.push(sql`expires_at = ${expiresAt}`);
  if (scopes !== undefined) changes.push(sql`scopes = ${scopes}`);
  if (requestsPerMinute !== undefined) changes.push(sql`requests_per_minute = ${requestsPerMinute}`);
  if (allowedAddresses) changes.push(sql`allowed_addresses = ${allowedAddresses}`);
  if (allowedOrigins) changes.push(sql`allowed_origins = ${allowedOrigins}`);
  const { rowCount } = await tx.query(sql`
    update keys k set ${join(changes, ", ")}
    where k.id = ${id} and k.kind = ${kind} and k.revoked_at is null and ${ownedBy(owner)}`);
  return rowCount === 0 ? undefined : findKey(tx, owner, kind, id);
}

export interface Revocation {
  readonly revokedBy: string;
  readonly reason?: string | undefined;
}

/** A revoked key, and whether this call revoked it. */
export interface Revoked {
  readonly key: SecretKey | PublicKey;
  readonly revokedNow: boolean;
}

/**
 * Revokes a key permanently. A key that is already revoked does not change. Returns undefined when the
 * owner has no such key.
 */
export async function revokeKey(
  tx: Queryable,
  owner: KeyOwner,
  kind: KeyKind,
  id: string,
  { revokedBy, reason }: Revocation,
): Promise<Revoked | undefined> {
  const { rowCount } = await tx.query(sql`
    update keys k set revoked_at = now(), revoked_by = ${revokedBy}, revoked_reason = ${reason}
    where k.id = ${id} and k.kind = ${kind} and k.revoked_at is null and ${ownedBy(owner)}`);
  const key = await findKey(tx, owner, kind, id);
  return key && { key, revokedNow: rowCount > 0 };
}

export interface RevokeAllFilter {
  readonly kind?: KeyKind | undefined;
  readonly unusedForDays?: number | undefined;
  /** Ids of keys that are not revoked. */
  readonly except: readonly string[];
}

/**
 * Revokes all live keys of the owner that match the filter, and returns their new state. The
 * organization must be locked, otherwise a key created concurrently is missed.
 */
export async function revokeAllKeys(
  tx: Queryable,
  owner: KeyOwner,
  { kind, unusedForDays, except }: RevokeAllFilter,
  { revokedBy, reason }: Revocation,
): Promise<readonly RevokedKey[]> {
  const conditions = [ownedBy(owner), sql`k.revoked_at is null`, sql`k.id <> all(${except}::uuid[])`];
  if (kind) conditions.push(sql`k.kind = ${kind}`);
  if (unusedForDays !== undefined) conditions.push(unusedFor(unusedForDays));
  // One statement that does not query its results again: an organization may have tens of thousands of
  // keys, and a plan from outdated statistics must not delay their revocation.
  const { rows } = await tx.query<KeyName & { id: string; name: string; generation: number; last_four: string }>(sql`
    update keys k set revoked_at = now(), revoked_by = ${revokedBy}, revoked_reason = ${reason}
    from key_secrets s
    where s.key_id = k.id and s.retires_at is null and ${join(conditions, " and ")}
    returning k.id, k.kind, k.style, k.name, k.imported_prefix, s.generation, s.last_four`);
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    name: row.name,
    masked: maskedSecret(row, row.generation, row.last_four),
  }));
}

/**
 * Returns whether the organization has more than `most` unrevoked keys, including those just created.
 * Expired keys count, since they are revoked like others.
 */
export async function hasMoreKeysThan(db: Queryable, organizationId: string, most: number): Promise<boolean> {
  const { rows } = await db.query<{ count: number }>(sql`
    select count(*)::int as count from (
      select from keys where organization_id = ${organizationId} and revoked_at is null limit ${most + 1}) k`);
  return (rows[0] as (typeof rows)[0]).count > most;
}

/** The audited members of a revoked key. */
export interface RevokedKey {
  readonly id: string;
  readonly kind: KeyKind;
  readonly name: string;
  readonly masked: string;
}

export interface SealedKey {
  readonly key: PublicKey;
  readonly sealed: Buffer;
}

/** Returns the live log-forwarding key of the project with its sealed value. */
export async function findLogForwardingKey(db: Queryable, projectId: string): Promise<SealedKey | undefined> {
  const { rows } = await db.query<{ id: string; organization_id: string; sealed_value: Buffer }>(sql`
    select id, organization_id, sealed_value from keys k
    where k.project_id = ${projectId} and k.sealed_value is not null and k.revoked_at is null
      and (k.expires_at is null or k.expires_at > now())`);
  const row = rows[0];
  if (!row) return undefined;
  const key = await findKey(db, { organizationId: row.organization_id }, "public", row.id);
  return key && { key: key as PublicKey, sealed: row.sealed_value };
}

/**
 * Revokes an expired key before a new one is created, since the unique index of log-forwarding keys
 * does not consider expiry.
 */
export async function revokeExpiredLogForwardingKey(
  tx: Queryable,
  projectId: string,
  { revokedBy, reason }: Revocation,
): Promise<SecretKey | PublicKey | undefined> {
  const { rows } = await tx.query<{ id: string; organization_id: string }>(sql`
    update keys set revoked_at = now(), revoked_by = ${revokedBy}, revoked_reason = ${reason}
    where project_id = ${projectId} and sealed_value is not null and revoked_at is null and expires_at <= now()
    returning id, organization_id`);
  const row = rows[0];
  return row && findKey(tx, { organizationId: row.organization_id }, "public", row.id);
}

/** Returns whether the value of the key is stored for reading again, as for a log-forwarding key. */
export async function isSealed(db: Queryable, id: string): Promise<boolean> {
  const { rowCount } = await db.query(sql`select from keys where id = ${id} and sealed_value is not null`);
  return rowCount > 0;
}

/** Adds the value, which is shown to its owner once. */
export function withValue<K>(key: K, value: string): Created<K> {
  return { ...key, value };
}

/** Returns the time of revocation; null for an unrevoked key. */
export function endOf(key: SecretKey | PublicKey): string | null {
  return "revokedAt" in key ? key.revokedAt : key.deactivatedAt;
}

function ownedBy({ organizationId, projectId }: KeyOwner): Sql {
  return projectId
    ? sql`k.organization_id = ${organizationId} and k.project_id = ${projectId}`
    : sql`k.organization_id = ${organizationId}`;
}

function unusedFor(days: number): Sql {
  return sql`
    k.created_at < now() - make_interval(days => ${days})
    and not exists (
      select from key_secret_uses u
      where u.key_id = k.id and u.last_valid_at >= now() - make_interval(days => ${days})
    )`;
}

/** Formats bytes for PostgreSQL to read from JSON. */
function toBytea(bytes: Buffer): string {
  return `\\x${bytes.toString("hex")}`;
}

interface KeyRow {
  id: string;
  project_id: string | null;
  kind: KeyKind;
  style: KeyStyle;
  name: string;
  scopes: GrantedScope[];
  created_at: Date;
  expires_at: Date | null;
  revoked_at: Date | null;
  requests_per_minute: number | null;
  allowed_addresses: string[];
  allowed_origins: string[];
  imported_prefix: string | null;
  generation: number;
  last_four: string;
  last_used_at: Date | null;
  last_used_address: string | null;
  current_uses: string | null;
  previous_generation: number | null;
  previous_last_four: string | null;
  previous_retires_at: Date | null;
  previous_uses: string | null;
  previous_last_used_at: Date | null;
  previous_last_used_address: string | null;
}

async function selectKeys(db: Queryable, which: Sql): Promise<readonly (SecretKey | PublicKey)[]> {
  const { rows } = await db.query<KeyRow>(sql`
    select k.id, k.project_id, k.kind, k.style, k.name, k.scopes, k.created_at, k.expires_at, k.revoked_at,
           k.requests_per_minute, k.allowed_addresses, k.allowed_origins, k.imported_prefix, current.generation,
           current.last_four, latest.last_used_at,
           latest.last_used_address,
           current_use.uses as current_uses, previous.generation as previous_generation,
           previous.last_four as previous_last_four,
           previous.retires_at as previous_retires_at, previous_use.uses as previous_uses,
           previous_use.last_used_at as previous_last_used_at,
           previous_use.last_used_address as previous_last_used_address
    from keys k
    join key_secrets current on current.key_id = k.id and current.retires_at is null
    left join key_secrets previous on previous.key_id = k.id and previous.retires_at > now()
    left join key_secret_uses current_use on current_use.key_id = k.id and current_use.generation = current.generation
    left join key_secret_uses previous_use on previous_use.key_id = k.id and previous_use.generation = previous.generation
    left join lateral (
      select u.last_used_at, u.last_used_address from key_secret_uses u
      where u.key_id = k.id order by u.last_used_at desc limit 1
    ) latest on true
    ${which}`);
  return rows.map(toKey);
}

function toKey(row: KeyRow): SecretKey | PublicKey {
  const common = {
    id: row.id,
    name: row.name,
    masked: maskedSecret(row, row.generation, row.last_four),
    style: row.style,
    createdAt: row.created_at.toISOString(),
    expiresAt: row.expires_at?.toISOString() ?? null,
    lastUsedAt: row.last_used_at?.toISOString() ?? null,
    lastUsedAddress: row.last_used_address,
    requestsPerMinute: row.requests_per_minute,
    allowedAddresses: row.allowed_addresses,
    rotation: toRotation(row),
  };
  const ended = row.revoked_at?.toISOString() ?? null;
  if (row.kind === "secret") return { ...common, projectId: row.project_id, scopes: row.scopes, revokedAt: ended };
  return {
    ...common,
    projectId: row.project_id as string,
    dataSourceConnectionId: null,
    allowedOrigins: row.allowed_origins,
    deactivatedAt: ended,
  };
}

/** An imported key is masked by its original prefix, until a rotation gives it a generated secret. */
type KeyName = Pick<KeyRow, "kind" | "style" | "imported_prefix">;

function maskedSecret({ kind, style, imported_prefix }: KeyName, generation: number, lastFour: string): string {
  return imported_prefix !== null && generation === 1
    ? `${imported_prefix}…${lastFour}`
    : maskOf(kind, style, lastFour);
}

function toRotation(row: KeyRow): SecretKey["rotation"] {
  if (!row.previous_retires_at || row.previous_last_four === null || row.previous_generation === null) return null;
  return {
    previousMasked: maskedSecret(row, row.previous_generation, row.previous_last_four),
    previousExpiresAt: row.previous_retires_at.toISOString(),
    currentUses: Number(row.current_uses ?? 0),
    previousUses: Number(row.previous_uses ?? 0),
    previousLastUsedAt: row.previous_last_used_at?.toISOString() ?? null,
    previousLastUsedAddress: row.previous_last_used_address,
  };
}
