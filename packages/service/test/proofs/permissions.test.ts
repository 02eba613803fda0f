import { randomBytes, randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type KeyKind, makeKey, scopes } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Change, createAuditedTransaction } from "../../src/audited-transaction.ts";
import { KeyVerifier } from "../../src/auth/verify/verifier.ts";
import { type Database, openDatabase } from "../../src/db/database.ts";
import { sql } from "../../src/db/sql.ts";
import { newSecret } from "../../src/keys/generate.ts";
import { insertKey, revokeKey, updateKey } from "../../src/keys/store/keys.ts";
import { beginRotation, cancelRotation, finishRotation } from "../../src/keys/store/rotation.ts";
import { insertOrganization } from "../../src/organizations/store.ts";
import { insertProject } from "../../src/projects/store.ts";
import { testAuthor } from "../support/author.ts";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { bearer, send, startTestService, type TestService } from "../support/index.ts";
import { newKeyring } from "../support/keyring.ts";
import {
  type ModelKey,
  type ModelSecret,
  type Operation,
  type Verdict,
  verdictOf,
} from "../support/permission-model.ts";
import { scaled } from "../support/scale.ts";

const verdictsWanted = scaled({ committed: 5_000, full: 100_000 });
const verdictsPerWorld = 50;
const pepper = newKeyring();
let database: FreshDatabase;
let db: Database;
let service: TestService;
/** Through which the changes are made, so that they are forgotten in the service when they return. */
let replica: KeyVerifier;

beforeAll(async () => {
  database = await freshDatabase();
  db = openDatabase({ url: database.url, connections: 4, statementTimeoutMs: 0 });
  service = await startTestService({ databaseUrl: database.url, keyPepper: pepper, requestsPerMinute: 1_000_000 });
  replica = new KeyVerifier({ url: database.url, db, pepper });
  await replica.open();
});
afterAll(async () => {
  await replica.close();
  await service.close();
  await db.close();
  await database.drop();
});

/** Numbers in a plan pick from what there is when their turn comes: `7` of five keys is the third. */
const index = fc.nat(1_000);
const someScopes = fc.oneof(fc.constant(["*"]), fc.subarray([...scopes], { minLength: 1, maxLength: 5 }));
const keyPlan = fc.record({
  kind: fc.constantFrom<KeyKind>("secret", "secret", "secret", "public"),
  organization: index,
  project: fc.option(index, { nil: undefined }),
  scopes: someScopes,
});
const operationPlan = fc.record({
  /** Undefined for a key that nobody made; rare, because an address that sends many of them is refused for that. */
  secret: fc.oneof({ weight: 200, arbitrary: index }, { weight: 1, arbitrary: fc.constant(undefined) }),
  does: fc.constantFrom<Operation["does"]>(
    "describe itself",
    "send a log",
    "read the audit",
    "read a project",
    "read a key",
    "make a key",
  ),
  project: fc.option(index, { nil: undefined }),
  key: index,
  scopes: someScopes,
});
const changePlan = fc.record({
  what: fc.constantFrom(
    "revoke",
    "rotate",
    "rotate at once",
    "finish",
    "cancel",
    "expire",
    "rescope",
    "disable",
    "enable",
  ),
  key: index,
  scopes: someScopes,
});
const worldPlan = fc.record({
  keys: fc.array(keyPlan, { minLength: 4, maxLength: 10 }),
  rounds: fc.array(
    fc.record({
      change: changePlan,
      operations: fc.array(operationPlan, { minLength: verdictsPerWorld / 10, maxLength: verdictsPerWorld / 10 }),
    }),
    { minLength: 10, maxLength: 10 },
  ),
});
type Plan = typeof worldPlan extends fc.Arbitrary<infer T> ? T : never;

/** Two organizations with two projects each, and the keys of a plan. */
class World {
  readonly organizations: ModelKey["organization"][] = [];
  readonly keys: ModelKey[] = [];
  readonly secrets: ModelSecret[] = [];
  /** Of keys that are being rotated: the secret before and the one after. */
  readonly #rotating = new Map<ModelKey, readonly [ModelSecret, ModelSecret]>();

  async make(plan: Plan): Promise<void> {
    for (let count = 0; count < 2; count++) this.organizations.push(await makeOrganization());
    for (const key of plan.keys) await this.#makeKey(key);
  }

  async #makeKey(plan: Plan["keys"][number]): Promise<void> {
    const organization = pick(this.organizations, plan.organization);
    const narrowed = plan.kind === "public" ? (plan.project ?? 0) : plan.project;
    const project = narrowed === undefined ? undefined : pick(organization.projects, narrowed);
    const granted = plan.kind === "public" ? [] : plan.scopes;
    const secret = newSecret(pepper, plan.kind, "live");
    const common = {
      kind: plan.kind,
      style: "live",
      name: "model",
      expiresAt: undefined,
      createdBy: undefined,
    } as const;
    const owner = { organizationId: organization.id, projectId: project };
    const { id } = await insertKey(db, { ...common, ...owner, scopes: granted }, secret);
    const key = { id, kind: plan.kind, organization, project, scopes: granted, revoked: false, expired: false };
    this.keys.push(key);
    this.secrets.push({ value: secret.value, key, dead: false });
  }

  /** Changes the service and the model alike. */
  async change({ what, key: number, scopes: granted }: Plan["rounds"][number]["change"]): Promise<void> {
    const key = pick(this.keys, number);
    const owner = { organizationId: key.organization.id };
    const make = (work: (tx: Change) => Promise<unknown>) =>
      createAuditedTransaction(db, replica)(testAuthor(owner.organizationId), work);
    switch (what) {
      case "revoke":
        await make((tx) => revokeKey(tx, owner, key.kind, key.id, { revokedBy: key.id }));
        key.revoked = true;
        return;
      case "rotate":
      case "rotate at once":
        return this.#rotate(key, what === "rotate" ? 600 : 0, make);
      case "finish":
      case "cancel": {
        const ended = await make((tx) =>
          what === "finish" ? finishRotation(tx, key.id, 0) : cancelRotation(tx, key.id),
        );
        const rotating = this.#rotating.get(key);
        expect(ended).toBe(rotating !== undefined);
        if (rotating) rotating[what === "finish" ? 0 : 1].dead = true;
        this.#rotating.delete(key);
        return;
      }
      case "expire":
        if (key.revoked) return;
        await make((tx) => updateKey(tx, owner, key.kind, key.id, { expiresAt: new Date(Date.now() + 5) }));
        await sleep(15);
        key.expired = true;
        return;
      case "rescope":
        if (key.revoked || key.kind === "public") return;
        await make((tx) => updateKey(tx, owner, key.kind, key.id, { scopes: granted }));
        key.scopes = granted;
        return;
      case "disable":
      case "enable": {
        const at = what === "disable" ? new Date() : null;
        await make((tx) =>
          tx.query(sql`update organizations set disabled_at = ${at} where id = ${key.organization.id}`),
        );
        key.organization.disabled = what === "disable";
      }
    }
  }

  async #rotate(
    key: ModelKey,
    graceSeconds: number,
    make: (work: (tx: Change) => Promise<unknown>) => Promise<unknown>,
  ) {
    const secret = newSecret(pepper, key.kind, "live");
    const begun = await make((tx) => beginRotation(tx, key.id, graceSeconds, secret));
    expect(begun).toBe(!this.#rotating.has(key));
    if (!begun) return;
    const before = this.#current(key);
    const after = { value: secret.value, key, dead: false };
    this.secrets.push(after);
    if (graceSeconds > 0) this.#rotating.set(key, [before, after]);
    else before.dead = true;
  }

  #current(key: ModelKey): ModelSecret {
    return this.secrets.filter((secret) => secret.key === key && !secret.dead).at(-1) as ModelSecret;
  }
}

async function makeOrganization(): Promise<ModelKey["organization"]> {
  const slug = randomBytes(8).toString("hex");
  const id = (await insertOrganization(db, { name: slug, slug }))?.id as string;
  const projects: string[] = [];
  for (const name of ["one", "two"]) {
    projects.push((await insertProject(db, { organizationId: id, name, region: "us-west-2" }))?.id as string);
  }
  return { id, disabled: false, projects };
}

function nobodys(): ModelSecret {
  return { value: makeKey("secret", "live", (below) => randomInt(below)), dead: false };
}

function operationOf(world: World, plan: Plan["rounds"][number]["operations"][number]): Operation {
  const projects = world.organizations.flatMap((organization) => organization.projects);
  switch (plan.does) {
    case "read a project":
      return { does: plan.does, project: pick(projects, plan.project ?? 0) };
    case "read a key":
      return { does: plan.does, key: pick(world.keys, plan.key) };
    case "make a key":
      return {
        does: plan.does,
        scopes: plan.scopes,
        project: plan.project === undefined ? undefined : pick(projects, plan.project),
      };
    default:
      return { does: plan.does };
  }
}

/** What the service says to the same question. */
async function ask({ value }: ModelSecret, operation: Operation): Promise<Verdict> {
  const headers = bearer(value);
  const answer = await (() => {
    switch (operation.does) {
      case "describe itself":
        return send(service, "GET /v1/me", { headers });
      case "send a log":
        return send(service, "POST /v1/logs", { headers, body: { message: "x" } });
      case "read the audit":
        return send(service, "GET /v1/audit?limit=1", { headers });
      case "read a project":
        return send(service, `GET /v1/projects/${operation.project}`, { headers });
      case "read a key":
        return send(service, `GET /v1/secret-keys/${operation.key.id}`, { headers });
      case "make a key": {
        const { scopes: granted, project: projectId } = operation;
        return send(service, "POST /v1/secret-keys", { headers, body: { name: "made", scopes: granted, projectId } });
      }
    }
  })();
  return { status: answer.status, ...(answer.body?.reason && { reason: answer.body.reason }) };
}

function pick<T>(from: readonly T[], number: number): T {
  return from[number % from.length] as T;
}

test(`${verdictsWanted} verdicts on random keys, scopes, projects, expiries, rotations and revocations are those of the model`, async () => {
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(worldPlan, async (plan) => {
      const world = new World();
      await world.make(plan);
      for (const { change, operations } of plan.rounds) {
        await world.change(change);
        await Promise.all(
          operations.map(async (planned) => {
            const secret = planned.secret === undefined ? nobodys() : pick(world.secrets, planned.secret);
            const operation = operationOf(world, planned);
            const expected = verdictOf(secret, operation);
            expect({ operation, ...(await ask(secret, operation)) }).toEqual({ operation, ...expected });
            const name = `${expected.status} ${expected.reason ?? ""}`;
            seen.set(name, (seen.get(name) ?? 0) + 1);
          }),
        );
      }
    }),
    { numRuns: verdictsWanted / verdictsPerWorld },
  );
  console.log([...seen].map(([name, count]) => `${count} × ${name}`).join(", "));
  // Every kind of verdict was met, so the model was asked about all of its lines.
  expect(seen.size).toBe(10);
}, 3_600_000);
