import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type AuditEvent, auditText, firstPreviousHash } from "@sazabi/sdk/protocol";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, queryDatabase, send } from "../support/index.ts";
import { type OwnPostgres, openOwnPostgres } from "../support/own-postgres.ts";
import { firstSecretKey, newServerSecrets, type Replica, startReplica } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";

const kills = scaled({ committed: 10, full: 100 });
const secrets = newServerSecrets();
let postgres: OwnPostgres;
let admin: string;

beforeAll(async () => {
  postgres = await openOwnPostgres();
  const first = await startReplica({ databaseUrl: postgres.url, secrets });
  admin = firstSecretKey(first);
  await first.stop();
});
afterAll(() => postgres.close());

/** Creates, rotates and revokes keys over and over, and keeps what was promised: answered, so committed. */
class Writers {
  readonly created = new Set<string>();
  readonly rotated = new Set<string>();
  readonly revoked = new Set<string>();
  #over = false;
  readonly #running: Promise<unknown>;

  constructor(service: { readonly url: string }, count: number) {
    this.#running = Promise.all(Array.from({ length: count }, () => this.#write(service)));
  }

  async stop(): Promise<void> {
    this.#over = true;
    await this.#running;
  }

  async #write(service: { readonly url: string }): Promise<void> {
    const ask = async (request: string, body?: object) => {
      const answer = await send(service, request, { headers: bearer(admin), ...(body && { body }) }).catch(
        () => undefined,
      );
      if (!answer) await sleep(10);
      return answer;
    };
    while (!this.#over) {
      const created = await ask("POST /v1/secret-keys", { name: "crash" });
      if (created?.status !== 201) continue;
      const path = `/v1/secret-keys/${created.body.secretKey.id}`;
      this.created.add(created.body.secretKey.id);
      const rotated = await ask(`POST ${path}/rotate`, { graceSeconds: 60 });
      if (rotated?.status === 201) this.rotated.add(created.body.secretKey.id);
      const revoked = await ask(`DELETE ${path}`);
      if (revoked?.status === 204) this.revoked.add(created.body.secretKey.id);
    }
  }
}

/** What the database holds of the keys that were written, beside what is on record about them. */
async function unrecorded(): Promise<unknown[]> {
  const { rows } = await queryDatabase(
    postgres.url,
    `with held as (
       select k.id, 1 as created, (select count(*)::int - 1 from key_secrets s where s.key_id = k.id) as rotated,
              (k.revoked_at is not null)::int as revoked
       from keys k where k.name = 'crash'
     ), recorded as (
       select (target ->> 'id')::uuid as id, count(*) filter (where action = 'secret_key.created')::int as created,
              count(*) filter (where action = 'secret_key.rotated')::int as rotated,
              count(*) filter (where action = 'secret_key.revoked')::int as revoked
       from audit_events where target ->> 'name' = 'crash' group by 1
     )
     select * from held full join recorded using (id)
     where (held.created, held.rotated, held.revoked) is distinct from (recorded.created, recorded.rotated, recorded.revoked)`,
  );
  return rows;
}

/** What was answered as done and is not there. */
async function lost({ created, rotated, revoked }: Writers): Promise<unknown[]> {
  const { rows } = await queryDatabase(
    postgres.url,
    `select 'created' as what, id from unnest($1::uuid[]) as c(id) where not exists (select from keys k where k.id = c.id)
     union all
     select 'rotated', id from unnest($2::uuid[]) as r(id)
     where not exists (select from key_secrets s where s.key_id = r.id and s.generation = 2)
     union all
     select 'revoked', id from unnest($3::uuid[]) as d(id)
     where not exists (select from keys k where k.id = d.id and k.revoked_at is not null)`,
    [[...created], [...rotated], [...revoked]],
  );
  return rows;
}

/** Reads the whole chain: each event hashes to what it says, follows the one before it, and the last one is the head. */
async function expectVerifiedChain(): Promise<void> {
  const { rows: heads } = await queryDatabase(postgres.url, "select organization_id, seq, hash from audit_heads");
  for (const head of heads) {
    const { rows } = await queryDatabase(
      postgres.url,
      "select * from audit_events where organization_id = $1 order by seq",
      [head.organization_id],
    );
    let previousHash = firstPreviousHash;
    for (const [index, row] of rows.entries()) {
      const event: Omit<AuditEvent, "hash"> = {
        ...row,
        seq: Number(row.seq),
        organizationId: row.organization_id,
        at: row.at.toISOString(),
        requestId: row.request_id,
        previousHash,
      };
      const hash = createHash("sha256").update(auditText(event)).digest("hex");
      const stored = {
        seq: Number(row.seq),
        previous: row.previous_hash.toString("hex"),
        hash: row.hash.toString("hex"),
      };
      expect(stored).toEqual({ seq: index + 1, previous: previousHash, hash });
      previousHash = hash;
    }
    expect({ seq: Number(head.seq), hash: head.hash.toString("hex") }).toEqual({
      seq: rows.length,
      hash: previousHash,
    });
  }
}

/** Nobody has to wait out the lease of a process that is dead: how long that takes is another promise's test. */
async function forgetTheDead(): Promise<void> {
  await queryDatabase(postgres.url, "delete from replicas");
}

/** Somewhere in the middle of a create, a rotate or a revoke. */
const aWhile = () => sleep(30 + Math.random() * 150);

test(`a service killed in the middle of its work, ${kills} times: every change is on record, nothing is on record that did not happen`, async () => {
  let promised = 0;
  for (let kill = 0; kill < kills; kill++) {
    const service: Replica = await startReplica({ databaseUrl: postgres.url, secrets });
    const writers = new Writers(service, 4);
    await expect.poll(() => writers.created.size, { timeout: 20_000, interval: 5 }).toBeGreaterThan(0);
    await aWhile();
    await service.kill();
    await forgetTheDead();
    await writers.stop();
    promised += writers.created.size + writers.rotated.size + writers.revoked.size;
    expect(await lost(writers)).toEqual([]);
  }
  expect(await unrecorded()).toEqual([]);
  await expectVerifiedChain();
  console.log(`the service killed ${kills} times; ${promised} answered changes, all there and on record`);
}, 900_000);

test(`PostgreSQL killed in the middle of its work, ${kills} times: every change is on record, and what was answered is there`, async () => {
  const service = await startReplica({ databaseUrl: postgres.url, secrets });
  let promised = 0;
  for (let kill = 0; kill < kills; kill++) {
    const writers = new Writers(service, 4);
    await expect.poll(() => writers.created.size, { timeout: 20_000, interval: 5 }).toBeGreaterThan(0);
    await aWhile();
    await postgres.restart("SIGKILL");
    await writers.stop();
    promised += writers.created.size + writers.rotated.size + writers.revoked.size;
    expect(await lost(writers)).toEqual([]);
  }
  expect(await unrecorded()).toEqual([]);
  await expectVerifiedChain();
  await service.stop();
  console.log(`PostgreSQL killed ${kills} times; ${promised} answered changes, all there and on record`);
}, 900_000);
