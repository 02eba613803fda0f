import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDatabase } from "../src/db/database.ts";
import { newSecret } from "../src/keys/generate.ts";
import { insertKey } from "../src/keys/store/keys.ts";
import { insertOrganization } from "../src/organizations/store.ts";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";
import { newKeyring } from "./support/keyring.ts";

/* Changes of one organization that wait for one another keep nobody else from the database. */

const keyPepper = newKeyring();
let service: TestService;
let other: Record<string, string>;

beforeAll(async () => {
  service = await startTestService({ keyPepper });
  const db = openDatabase({ url: service.databaseUrl, connections: 1 });
  const organization = await insertOrganization(db, { name: "other", slug: "other" });
  const secret = newSecret(keyPepper, "secret", "live");
  const limits = { scopes: ["*"], expiresAt: undefined, createdBy: undefined };
  const organizationId = organization?.id as string;
  const key = { organizationId, projectId: undefined, kind: "secret", style: "live", name: "other" } as const;
  await insertKey(db, { ...key, ...limits }, secret);
  await db.close();
  other = bearer(secret.value);
});
afterAll(() => service.close());

test("forty changes of an organization that cannot go on leave another organization its reads and changes", async () => {
  const blocker = new pg.Client({ connectionString: service.databaseUrl });
  await blocker.connect();
  await blocker.query("begin");
  await blocker.query("select from sazabi.organizations where id = $1 for update", [service.organizationId]);
  const create = (headers: Record<string, string>) =>
    send(service, "POST /v1/secret-keys", { headers, body: { name: "made" } });
  const blocked = Array.from({ length: 40 }, () => create(bearer(service.secretKey)));

  for (let round = 0; round < 5; round++) {
    expect(await send(service, "GET /v1/secret-keys", { headers: other })).toMatchObject({ status: 200 });
    expect(await create(other)).toMatchObject({ status: 201 });
  }

  await blocker.query("rollback");
  await blocker.end();
  for (const answer of await Promise.all(blocked)) expect(answer.status).toBe(201);
});
