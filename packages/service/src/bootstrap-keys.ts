import { insertAuditEvents } from "./audit/store.ts";
import type { Keyring } from "./crypto/keyring.ts";
import type { Database } from "./db/database.ts";
import { keyCreated } from "./keys/events.ts";
import { newSecret } from "./keys/generate.ts";
import { insertKey } from "./keys/store/keys.ts";
import { hasNoOrganization, insertOrganization } from "./organizations/store.ts";
import { insertProject } from "./projects/store.ts";

export interface FirstKeys {
  readonly secretKey: string;
  readonly publicKey: string;
}

/**
 * Creates the organization and project `default` and a key of each kind in one transaction, when the
 * database has no organization. Of two processes that start concurrently, one creates them and the
 * other gets undefined.
 */
export async function makeFirstKeys(db: Database, pepper: Keyring): Promise<FirstKeys | undefined> {
  if (!(await hasNoOrganization(db))) return undefined;
  return db.transaction(async (tx) => {
    const organization = await insertOrganization(tx, { name: "default", slug: "default" });
    if (!organization) return undefined;
    const organizationId = organization.id;
    const project = await insertProject(tx, { organizationId, name: "default", region: "us-west-2" });
    if (!project) return undefined;
    const secret = newSecret(pepper, "secret", "live");
    const publicSecret = newSecret(pepper, "public", "live");
    const common = {
      organizationId,
      style: "live",
      expiresAt: undefined,
      createdBy: undefined,
    } as const;
    const keys = [
      await insertKey(
        tx,
        { ...common, kind: "secret", name: "first secret key", projectId: undefined, scopes: ["*"] },
        secret,
      ),
      await insertKey(
        tx,
        { ...common, kind: "public", name: "first public key", projectId: project.id, scopes: [] },
        publicSecret,
      ),
    ];
    const source = {
      organizationId,
      actor: { kind: "system", name: "first start" },
      address: null,
      requestId: null,
    } as const;
    await insertAuditEvents(tx, source, [
      { action: "organization.created", target: { kind: "organization", id: organizationId, name: organization.name } },
      { action: "project.created", target: { kind: "project", id: project.id, name: project.name } },
      ...keys.map(keyCreated),
    ]);
    return { secretKey: secret.value, publicKey: publicSecret.value };
  });
}
