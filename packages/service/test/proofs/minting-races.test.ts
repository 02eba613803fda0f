import { setTimeout as sleep, setImmediate as untilRead } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "../support/database.ts";
import { hammer } from "../support/hammer.ts";
import { bearer, queryDatabase, send } from "../support/index.ts";
import { firstSecretKey, newServerSecrets, type Replica, startReplicas } from "../support/replica.ts";
import { scaled } from "../support/scale.ts";

/*
 * A leaked key makes keys as fast as it can, on every replica, while its rights are taken away. No request of its own is
 * held: the requests race the revocation.
 */

const secrets = newServerSecrets();
let database: FreshDatabase;
let replicas: Replica[];
let admin: Record<string, string>;

beforeAll(async () => {
  database = await freshDatabase();
  replicas = await startReplicas(3, { databaseUrl: database.url, secrets });
  admin = bearer(firstSecretKey(replicas[0] as Replica));
});
afterAll(async () => {
  await Promise.all(replicas.map((replica) => replica.stop()));
  await database.drop();
});

const clients = 24;
const rounds = scaled({ committed: 4, full: 20 });

/** What one replica is asked, in turns. */
const on = (round: number) => replicas[round % replicas.length] as Replica;

interface Made {
  readonly id: string;
  readonly value: string;
}

const makeKey = async (replica: Replica, headers: Record<string, string>, body: object): Promise<Made> => {
  const made = await send(replica, "POST /v1/secret-keys", { headers, body });
  expect(made.status).toBe(201);
  return made.body.secretKey;
};

function mintingBytes(url: string, key: string): Buffer {
  const body = '{"name":"child"}';
  return Buffer.from(
    `POST /v1/secret-keys HTTP/1.1\r\nhost: ${new URL(url).host}\r\nauthorization: Bearer ${key}\r\n` +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
}

/** Makes keys with `leaked` on all replicas while `take` runs. Counts what was answered 201, and when. */
async function mintWhile(leaked: Made, take: () => Promise<unknown>) {
  let isTaken = false;
  const counts = { before: 0, after: 0, refused: 0 };
  const hammers = replicas.map(({ url }) =>
    hammer(url, clients / replicas.length, () => ({
      request: mintingBytes(url, leaked.value),
      onAnswer(status) {
        if (status !== 201) counts.refused += 1;
        else if (isTaken) counts.after += 1;
        else counts.before += 1;
      },
    })),
  );
  await sleep(150);
  await take();
  // Answers that reached this process before that of the taking are read before they are counted as later ones.
  for (let count = 0; count < 3; count++) await untilRead();
  isTaken = true;
  await sleep(150);
  await Promise.all(hammers.map((one) => one.stop()));
  return counts;
}

/** The keys that a key made and that still live, and theirs. */
async function survivors(id: string): Promise<number> {
  const { rows } = await queryDatabase(
    database.url,
    `with recursive made as (
       select id, revoked_at from keys where created_by = $1
       union select k.id, k.revoked_at from keys k join made m on k.created_by = m.id)
     select count(*)::int as living from made where revoked_at is null`,
    [id],
  );
  return rows[0].living;
}

const patch = (round: number, id: string, body: object) =>
  send(on(round), `PATCH /v1/secret-keys/${id}`, { headers: admin, body });

/** `endsChildren`: also what the key made before is dead. Else its children live, and only the makers' clock is looked at. */
const takings = {
  "is ended by revoke-all": {
    endsChildren: true,
    take: (round: number) =>
      send(on(round), "POST /v1/keys/revoke-all", { headers: admin, body: { except: ["caller"] } }),
  },
  "is revoked": {
    endsChildren: false,
    take: (round: number, { id }: Made) => send(on(round), `DELETE /v1/secret-keys/${id}`, { headers: admin }),
  },
  "is narrowed": {
    endsChildren: false,
    take: (round: number, { id }: Made) => patch(round, id, { scopes: ["read:logs"] }),
  },
  "is limited to another address": {
    endsChildren: false,
    take: (round: number, { id }: Made) => patch(round, id, { allowedAddresses: ["203.0.113.9"] }),
  },
  "is rotated without a grace": {
    endsChildren: false,
    take: (round: number, { id }: Made) =>
      send(on(round), `POST /v1/secret-keys/${id}/rotate`, { headers: admin, body: { graceSeconds: 0 } }),
  },
};

test.each(Object.entries(takings))(
  "a leaked key that makes keys on three replicas and %s makes none after the answer",
  async (name, { endsChildren, take }) => {
    const sums = { before: 0, after: 0, refused: 0, late: 0, survivors: 0 };
    for (let round = 0; round < rounds; round++) {
      const leaked = await makeKey(on(round), admin, { name: "leaked", requestsPerMinute: 100_000 });
      let committedBefore = -1;
      const counts = await mintWhile(leaked, async () => {
        expect((await take(round + 1, leaked)).status).toBeLessThan(300);
        committedBefore = await countChildren(leaked.id);
      });
      sums.before += counts.before;
      sums.after += counts.after;
      sums.refused += counts.refused;
      sums.late += (await countChildren(leaked.id)) - committedBefore;
      if (endsChildren) sums.survivors += await survivors(leaked.id);
    }
    console.log(`a leaked key that ${name}, ${rounds} rounds: ${JSON.stringify(sums)}`);
    expect(sums).toMatchObject({ after: 0, late: 0, survivors: 0 });
    // The race took place: keys were made until the taking, and refused after it.
    expect(sums.before).toBeGreaterThan(rounds);
    expect(sums.refused).toBeGreaterThan(rounds);
  },
  600_000,
);

async function countChildren(id: string): Promise<number> {
  const { rows } = await queryDatabase(database.url, "select count(*)::int as made from keys where created_by = $1", [
    id,
  ]);
  return rows[0].made;
}
