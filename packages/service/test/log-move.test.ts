import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { clickHouseMissing, startClickHouse, type TestClickHouse } from "./support/clickhouse.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { bearer, queryDatabase, send } from "./support/index.ts";
import { firstKeys, newServerSecrets, type Replica, startReplica } from "./support/replica.ts";

const program = fileURLToPath(new URL("support/move-process.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx");

describe.skipIf(clickHouseMissing !== "")(
  `moving the logs of a running service to ClickHouse${clickHouseMissing}`,
  () => {
    let clickHouse: TestClickHouse;
    let database: FreshDatabase;
    const secrets = newServerSecrets();
    let replica: Replica;
    let keys: { secretKey: string; publicKey: string };
    /** Messages that a request was told are stored. */
    const acknowledged: string[] = [];

    beforeAll(async () => {
      clickHouse = await startClickHouse();
      database = await freshDatabase();
      replica = await startReplica({ databaseUrl: database.url, secrets });
      keys = firstKeys(replica);
    });
    afterAll(async () => {
      await replica.stop();
      await database.drop();
      await clickHouse.stop();
    });

    interface Mover {
      readonly process: ChildProcess;
      readonly ended: Promise<number | null>;
      output(): string;
    }

    function startMover(): Mover {
      const child = spawn(process.execPath, ["--import", tsx, "--conditions=sazabi-source", program], {
        env: {
          ...process.env,
          DATABASE_URL: database.url,
          SAZABI_DATA_DIR: tmpdir(),
          SAZABI_LOG_STORE: clickHouse.url,
        },
        stdio: ["ignore", "ignore", "pipe"],
      });
      let output = "";
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        output += text;
      });
      return {
        process: child,
        ended: once(child, "exit").then(([code]) => code as number | null),
        output: () => output,
      };
    }

    /** As a sender does it: again, with the same key, until it is told that the entries are stored. */
    async function deliver(name: string, entries: number, at?: number): Promise<void> {
      const messages = Array.from({ length: entries }, (_, index) => `${name} ${index}`);
      const body = messages.map((message, index) => ({
        message,
        ...(at !== undefined && { timestamp: new Date(at + index).toISOString() }),
        attributes: { n: index, text: `${index}`, flag: index % 2 === 0 },
      }));
      for (;;) {
        const headers = { "x-sazabi-key": keys.publicKey, "idempotency-key": name };
        const answer = await send(replica, "POST /v1/logs", { headers, body }).catch(() => undefined);
        if (answer?.status === 202) break;
        expect([undefined, 503]).toContain(answer?.status);
        await sleep(50);
      }
      acknowledged.push(...messages);
    }

    async function everything(): Promise<{ id: string; message: string; attributes: object; timestamp: string }[]> {
      const found: { id: string; message: string; attributes: object; timestamp: string }[] = [];
      let cursor: string | undefined;
      do {
        const body = {
          search: { query: "" },
          filters: [{ field: "timestamp", op: "gte", value: new Date(Date.now() - 20 * 86_400_000).toISOString() }],
          pagination: { limit: 1000, ...(cursor && { cursor }) },
        };
        const answer = await send(replica, "POST /v1/logs/query", { headers: bearer(keys.secretKey), body });
        expect(answer.status, answer.text).toBe(200);
        found.push(...answer.body.data);
        cursor = answer.body.nextCursor ?? undefined;
      } while (cursor);
      return found;
    }

    test("killed three times and called again, under load: every acknowledged entry is there once, as it was", {
      timeout: 240_000,
    }, async () => {
      for (let day = 0; day < 6; day++) await deliver(`old-${day}`, 500, Date.now() - (day + 1) * 86_400_000);
      for (let batch = 0; batch < 3; batch++) await deliver(`new-${batch}`, 1000);
      const before = await everything();
      expect(before).toHaveLength(6000);

      let delivering = true;
      const load = (async () => {
        for (let batch = 0; delivering; batch++) {
          await deliver(`load-${batch}`, 20);
          await sleep(100);
        }
      })();

      for (let kill = 0; kill < 3; kill++) {
        await clickHouse.holdInsertAnswers();
        const mover = startMover();
        // The step was done, and it does not know.
        await clickHouse.insertHeld();
        mover.process.kill("SIGKILL");
        await mover.ended;
        await clickHouse.releaseInsertAnswers();
      }
      const mover = startMover();
      expect(await mover.ended, mover.output()).toBe(0);
      expect(mover.output()).toContain("SAZABI_LOG_STORE");
      expect(mover.output()).not.toMatch(/a password|a%20password/);

      // A process that was not told takes nothing any more, which would be seen nowhere.
      const headers = { "x-sazabi-key": keys.publicKey };
      const late = await send(replica, "POST /v1/logs", { headers, body: { message: "late" } });
      expect(late.status).toBe(503);

      await replica.stop();
      await expect(startReplica({ databaseUrl: database.url, secrets })).rejects.toThrow("are in ClickHouse");
      replica = await startReplica({ databaseUrl: database.url, secrets, env: { SAZABI_LOG_STORE: clickHouse.url } });
      await expect.poll(() => acknowledged.length, { timeout: 20_000 }).toBeGreaterThan(6100);
      delivering = false;
      await load;

      const after = await everything();
      expect(after.map(({ message }) => message).sort()).toEqual([...acknowledged].sort());
      const byId = new Map(after.map((entry) => [entry.id, entry]));
      expect(before.map(({ id }) => byId.get(id))).toEqual(before);
      // Nothing lies hidden either.
      const [row] = await clickHouse.query<{ n: number }>("select toInt32(count()) as n from logs format JSONEachRow");
      expect(row?.n).toBe(acknowledged.length);

      // A request from before the move is still known.
      await deliver("old-0", 500, Date.now() - 86_400_000).catch(() => undefined);
      expect(await everything()).toHaveLength(after.length);
      // And whoever calls the command again is told that there is nothing to do.
      const again = startMover();
      expect(await again.ended, again.output()).toBe(0);
      expect(again.output()).toContain("0 entries");
    });

    test("a database with logs of its own is not opened on ClickHouse before they are moved", async () => {
      const other = await freshDatabase();
      const onPostgres = await startReplica({ databaseUrl: other.url, secrets });
      const { publicKey } = firstKeys(onPostgres);
      await send(onPostgres, "POST /v1/logs", { headers: { "x-sazabi-key": publicKey }, body: { message: "here" } });
      await onPostgres.stop();
      const env = { SAZABI_LOG_STORE: clickHouse.url };
      await expect(startReplica({ databaseUrl: other.url, secrets, env })).rejects.toThrow("logs:move");
      const { rows } = await queryDatabase(other.url, "select count(*)::int as n from log_store");
      expect(rows[0].n).toBe(0);
      await other.drop();
    });

    test("entries of somebody else's in the table stop the move before it begins", async () => {
      const other = await freshDatabase();
      const mover = spawn(process.execPath, ["--import", tsx, "--conditions=sazabi-source", program], {
        env: { ...process.env, DATABASE_URL: other.url, SAZABI_DATA_DIR: tmpdir(), SAZABI_LOG_STORE: clickHouse.url },
        stdio: ["ignore", "ignore", "pipe"],
      });
      const [said] = (await once(mover.stderr.setEncoding("utf8"), "data")) as [string];
      if (mover.exitCode === null) await once(mover, "exit");
      expect([mover.exitCode, said]).toEqual([1, expect.stringContaining("holds entries already")]);
      await other.drop();
    });
  },
);
