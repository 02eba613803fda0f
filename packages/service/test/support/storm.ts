import { expect } from "vitest";
import { type Keyring, parseKeyring } from "../../src/crypto/keyring.ts";
import { openDatabase } from "../../src/db/database.ts";
import { newSecret } from "../../src/keys/generate.ts";
import { insertKey } from "../../src/keys/store/keys.ts";
import { type Hammer, hammer, requestBytes, type Shot } from "./hammer.ts";
import { bearer, queryDatabase, send } from "./index.ts";
import type { Replica, ServerSecrets } from "./replica.ts";

/** Answered from the key alone, without a look into the database: 404 means that the key was accepted, 401 that not. */
const probePath = "/v1/secret-keys/none";
const accepted = 404;
const refused = 401;

interface StormKey {
  readonly id: string;
  readonly value: string;
  /** True from the moment the revoke call has answered. */
  revoked: boolean;
}

interface Stale {
  readonly keyId: string;
  readonly replica: string;
}

/** What one replica answered. */
interface Tally {
  acceptedLive: number;
  refusedRevoked: number;
}

/** Clients on every replica that use keys which are being revoked, and notice each use that should not have worked. */
export interface Storm {
  readonly keys: readonly StormKey[];
  readonly stale: readonly Stale[];
  readonly tallies: ReadonlyMap<string, Tally>;
  readonly answered: number;
  /** More clients on one replica, which use nothing but keys that are revoked already. */
  strike(replica: Replica, clients: number): void;
  /** Revokes the next key through `replica`, again and again while the service says that it cannot. */
  revokeNext(replica: Replica): Promise<{ readonly tookMs: number }>;
  stop(): Promise<void>;
}

interface StormOptions {
  readonly replicas: readonly Replica[];
  readonly databaseUrl: string;
  readonly secrets: ServerSecrets;
  /** Of a key that may revoke. */
  readonly admin: string;
  readonly keys: number;
  readonly clients: number;
}

export async function startStorm(options: StormOptions): Promise<Storm> {
  const { replicas, admin, clients } = options;
  const keys = await insertKeys(options);
  const requests = new Map(
    replicas.map(({ name, url }) => [
      name,
      new Map(keys.map((key) => [key, requestBytes("GET", url + probePath, key.value)])),
    ]),
  );
  const stale: Stale[] = [];
  const tallies = new Map<string, Tally>(replicas.map(({ name }) => [name, { acceptedLive: 0, refusedRevoked: 0 }]));
  let revokedCount = 0;

  function shot({ name }: Replica, key: StormKey): Shot {
    const wasRevoked = key.revoked;
    const tally = tallies.get(name) as Tally;
    return {
      request: requests.get(name)?.get(key) as Buffer,
      onAnswer(status) {
        if (status === accepted && wasRevoked) stale.push({ keyId: key.id, replica: name });
        if (status === accepted && !wasRevoked) tally.acceptedLive += 1;
        if (status === refused && wasRevoked) tally.refusedRevoked += 1;
      },
    };
  }

  /** Around the key that is being revoked: those before it are the ones that could come back, those after it fill the caches. */
  const aim = () => keys[Math.max(0, Math.min(keys.length - 1, revokedCount - 4 + randomBelow(10)))] as StormKey;
  const aimAtRevoked = () => keys[randomBelow(revokedCount)] as StormKey;

  const hammers: Hammer[] = replicas.map((replica) => hammer(replica.url, clients, () => shot(replica, aim())));
  await expect.poll(() => hammers.every(({ answered }) => answered > 100), { timeout: 20_000 }).toBe(true);

  return {
    keys,
    stale,
    tallies,
    get answered() {
      return hammers.reduce((sum, { answered }) => sum + answered, 0);
    },
    strike(replica, count) {
      hammers.push(hammer(replica.url, count, () => shot(replica, aimAtRevoked())));
    },
    async revokeNext(replica) {
      const key = keys[revokedCount] as StormKey;
      const startedAt = performance.now();
      await revokeUntilAnswered(replica, admin, key.id);
      key.revoked = true;
      revokedCount += 1;
      return { tookMs: performance.now() - startedAt };
    },
    async stop() {
      await Promise.all(hammers.map((each) => each.stop()));
    },
  };
}

/** 503 and a broken connection leave it open whether the key is revoked: only 204 is the promise. */
async function revokeUntilAnswered(replica: Replica, admin: string, id: string): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt++) {
    const answer = await send(replica, `DELETE /v1/secret-keys/${id}?force=true`, { headers: bearer(admin) }).catch(
      () => undefined,
    );
    if (answer?.status === 204) return;
    if (answer && answer.status < 500) throw new Error(`The revocation was refused: ${answer.text}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("The revocation was not answered.");
}

async function insertKeys({ databaseUrl, secrets, keys }: StormOptions): Promise<StormKey[]> {
  const pepper = parseKeyring(secrets.pepper) as Keyring;
  const { rows } = await queryDatabase(databaseUrl, "select id from organizations limit 1");
  const db = openDatabase({ url: databaseUrl, connections: 1, statementTimeoutMs: 0 });
  const common = { organizationId: rows[0].id, projectId: undefined, kind: "secret", style: "live" } as const;
  const limits = { scopes: ["*"], expiresAt: undefined, createdBy: undefined, requestsPerMinute: 1_000_000 };
  const made: StormKey[] = [];
  for (let index = 0; index < keys; index++) {
    const secret = newSecret(pepper, "secret", "live");
    const { id } = await insertKey(db, { ...common, ...limits, name: `storm ${index}` }, secret);
    made.push({ id, value: secret.value, revoked: false });
  }
  await db.close();
  return made;
}

/** Any of the replicas. */
export function anyOf(replicas: readonly Replica[]): Replica {
  return replicas[randomBelow(replicas.length)] as Replica;
}

function randomBelow(limit: number): number {
  return Math.floor(Math.random() * limit);
}
