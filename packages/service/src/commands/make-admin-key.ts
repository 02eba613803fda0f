import { insertAuditEvents } from "../audit/store.ts";
import type { Config } from "../config.ts";
import { readKeyrings } from "../crypto/open-keyrings.ts";
import { type Database, openDatabase, sqlState } from "../db/database.ts";
import { withEmbeddedPostgres } from "../embedded-postgres.ts";
import { keyCreated } from "../keys/events.ts";
import { newSecret } from "../keys/generate.ts";
import { insertKey } from "../keys/store/keys.ts";
import { listOrganizations, lockOrganization } from "../organizations/store.ts";

export interface AdminKeyOptions extends Pick<Config, "databaseUrl" | "dataDir" | "keyPepper" | "masterKey"> {
  /** Slug of the organization. Undefined when there is only one. */
  readonly organization: string | undefined;
  readonly onProgress: (message: string) => void;
}

export interface AdminKey {
  /** The key itself, which is not stored. */
  readonly value: string;
  readonly organization: string;
}

const keyName = "admin key made on the server";

/**
 * Creates a secret key with all permissions in an organization, for operators who lost theirs. An
 * operator who can run this can already read the database and its secrets. The creation is audited.
 * Running services accept the key immediately.
 */
export async function makeAdminKey(options: AdminKeyOptions): Promise<AdminKey> {
  return withDatabase(options, async (db) => {
    const { pepper } = await readKeyrings(db, { ...options, onNotice: options.onProgress });
    const { id, slug } = choose(await listOrganizations(db), options.organization);
    const secret = newSecret(pepper, "secret", "live");
    await db.transaction(async (tx) => {
      await lockOrganization(tx, id);
      const key = await insertKey(
        tx,
        {
          organizationId: id,
          projectId: undefined,
          kind: "secret",
          style: "live",
          name: keyName,
          scopes: ["*"],
          expiresAt: undefined,
          createdBy: undefined,
        },
        secret,
      );
      const source = {
        organizationId: id,
        actor: { kind: "system", name: "server" },
        address: null,
        requestId: null,
      } as const;
      await insertAuditEvents(tx, source, [keyCreated(key)]);
    });
    return { value: secret.value, organization: slug };
  });
}

function choose(organizations: Awaited<ReturnType<typeof listOrganizations>>, wanted: string | undefined) {
  const [only] = organizations;
  if (!only)
    throw new Error("This database has no organization yet: start the service once, which makes the first keys.");
  const found = wanted === undefined ? only : organizations.find(({ slug }) => slug === wanted);
  if (found && (wanted !== undefined || organizations.length === 1)) return found;
  const names = organizations.map(({ slug }) => slug).join(", ");
  const unknown = wanted === undefined ? "" : `There is no organization "${wanted.slice(0, 100)}". `;
  throw new Error(`${unknown}Name the organization: ${names}.`);
}

async function withDatabase<T>(options: AdminKeyOptions, work: (db: Database) => Promise<T>): Promise<T> {
  const { databaseUrl } = options;
  if (databaseUrl) return connected(databaseUrl, work);
  return withEmbeddedPostgres(options, ({ url }) => connected(url, work));
}

async function connected<T>(url: string, work: (db: Database) => Promise<T>): Promise<T> {
  const db = openDatabase({ url, connections: 1 });
  try {
    return await work(db);
  } catch (error) {
    if (!missingSchema.has(sqlState(error) ?? "")) throw error;
    throw new Error(
      "This database is not one of this version of Sazabi: start the service once, which brings it up to date.",
      {
        cause: error,
      },
    );
  } finally {
    await db.close();
  }
}

/** SQLSTATEs of a missing table or column. */
const missingSchema = new Set(["42P01", "42703"]);
