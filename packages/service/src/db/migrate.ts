import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import pg from "pg";

interface Migration {
  readonly number: number;
  readonly name: string;
  readonly text: string;
  readonly hash: string;
}

const folder = new URL("../../migrations/", import.meta.url);

/** Lock id shared by all Sazabi processes, so that concurrent migrations run one after the other. */
const migrationLock = 4_600_001;

/** Oldest server version that supports the SQL of the migrations. */
const minimumServerVersion = 150_000;

/**
 * Migrates the database to the version of this code, each migration in a separate transaction. Calls
 * `onApply` for each. Throws for a database that is newer than the code, one whose applied migrations
 * differ, and PostgreSQL below 15.
 */
export async function migrate(url: string, onApply?: (name: string) => void): Promise<void> {
  const client = new pg.Client({ connectionString: url, application_name: "sazabi migrate" });
  await client.connect();
  try {
    await checkServer(client);
    await client.query("select pg_advisory_lock($1)", [migrationLock]);
    // Checked first: a role that may not create schemas may not run `create schema if not exists` either.
    const { rowCount: exists } = await client.query("select from pg_namespace where nspname = 'sazabi'");
    if (!exists) await client.query("create schema sazabi");
    await client.query(`
      set search_path = sazabi, public;
      create table if not exists migrations (
        number int primary key,
        name text not null,
        hash text not null,
        applied_at timestamptz not null default now()
      )`);
    const applied = await appliedMigrations(client);
    const ours = await readMigrations();
    checkHistory(ours, applied);
    for (const migration of ours.slice(applied.length)) {
      onApply?.(migration.name);
      await apply(client, migration);
    }
  } finally {
    await client.end();
  }
}

async function checkServer(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string }>(
    "select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding",
  );
  const server = rows[0];
  if (!server || server.version < minimumServerVersion) {
    throw new Error(`Sazabi needs PostgreSQL 15 or later; this server is ${server?.version ?? "unknown"}.`);
  }
  if (server.encoding !== "UTF8") {
    throw new Error(`Sazabi needs a database with encoding UTF8; this one has ${server.encoding}.`);
  }
}

type AppliedMigration = Pick<Migration, "number" | "name" | "hash">;

async function appliedMigrations(client: pg.Client): Promise<readonly AppliedMigration[]> {
  const { rows } = await client.query<AppliedMigration>("select number, name, hash from migrations order by number");
  return rows;
}

async function readMigrations(): Promise<readonly Migration[]> {
  const names = (await readdir(folder)).filter((name) => /^\d{4}_.+\.sql$/.test(name)).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), "utf8");
      const hash = createHash("sha256").update(text).digest("hex");
      return { number: Number(name.slice(0, 4)), name, text, hash };
    }),
  );
}

function checkHistory(ours: readonly Migration[], applied: readonly AppliedMigration[]): void {
  if (applied[0]?.name === "0001_foundation.sql") {
    throw new Error(
      "The database was made by a version of Sazabi before the first release. This version cannot take it over. " +
        "Start with an empty database, or run the older version.",
    );
  }
  if (applied.length > ours.length) {
    throw new Error(
      `The database is ahead of this version of Sazabi (migration ${applied.at(-1)?.number}, ours end at ` +
        `${ours.at(-1)?.number}). Run the newer version.`,
    );
  }
  for (const [index, { number, hash }] of applied.entries()) {
    if (ours[index]?.number !== number || ours[index]?.hash !== hash) {
      throw new Error(`Migration ${number} was applied with other contents than this version of Sazabi has.`);
    }
  }
}

async function apply(client: pg.Client, { number, name, text, hash }: Migration): Promise<void> {
  await client.query("begin");
  try {
    await client.query(text);
    await client.query("insert into migrations (number, name, hash) values ($1, $2, $3)", [number, name, hash]);
    await client.query("commit");
  } catch (error) {
    await client.query("rollback");
    throw new Error(`Migration ${name} failed: ${(error as Error).message}`, { cause: error });
  }
}
