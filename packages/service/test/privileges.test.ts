import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { openDatabase } from "../src/db/database.ts";
import { PartitionIndexBuilder } from "../src/logs/engines/postgres/partition-index-builder.ts";
import { bearer, queryDatabase, send, startTestService } from "./support/index.ts";

const dayMs = 86_400_000;
const name = `sazabi_few_${randomBytes(5).toString("hex")}`;
let admin: pg.Client;
/** As a role that may connect and owns nothing but an empty schema `sazabi`. */
let url: string;

function onDatabase(database: string): string {
  return Object.assign(new URL(inject("templateUrl")), { pathname: `/${database}` }).href;
}

beforeAll(async () => {
  admin = new pg.Client({ connectionString: onDatabase("postgres") });
  await admin.connect();
  await admin.query(`create role ${name} login password 'few'`);
  await admin.query(`create database ${name} encoding 'UTF8' template template0`);
  await admin.query(`revoke all on database ${name} from public`);
  await admin.query(`grant connect on database ${name} to ${name}`);
  await queryDatabase(onDatabase(name), `create schema sazabi authorization ${name}`);
  url = Object.assign(new URL(onDatabase(name)), { username: name, password: "few" }).href;
});
afterAll(async () => {
  await admin.query(`drop database ${name} with (force)`);
  await admin.query(`drop role ${name}`);
  await admin.end();
});

async function sealAll(): Promise<{ readonly words: boolean; readonly notices: readonly string[] }> {
  const notices: string[] = [];
  const db = openDatabase({ url, connections: 2 });
  const sealer = new PartitionIndexBuilder({ url, db, onNotice: (message) => notices.push(message) });
  // Yesterday is over by then, also where it is just after midnight.
  const soon = (Date.now() + 900_000) * 1000;
  await sealer.seal(soon);
  await sealer.seal(soon);
  const { words } = await sealer.sealed();
  await sealer.close();
  await db.close();
  return { words, notices };
}

test("the privileges that docs/operations.md names are enough to store logs, seal them and search them", async () => {
  const service = await startTestService({ databaseUrl: url });
  const yesterday = new Date(Date.now() - dayMs).toISOString();
  const sent = await send(service, "POST /v1/logs", {
    headers: { "x-sazabi-key": service.publicKey },
    body: { message: "a Zanzibarite", timestamp: yesterday },
  });
  expect(sent.status).toBe(202);
  const find = async () => {
    const filters = [{ field: "timestamp", op: "gte", value: new Date(Date.now() - 2 * dayMs).toISOString() }];
    const body = { search: { query: "zanzibarite" }, filters };
    return (await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body })).body.data;
  };

  // Without the extension: no index on words, which is said once, and every word is found all the same.
  const bare = await sealAll();
  expect(bare.words).toBe(false);
  expect(bare.notices).toEqual([
    expect.stringMatching(/^words in logs are searched without an index: .*docs\/operations\.md/),
  ]);
  expect(await find()).toHaveLength(1);

  // With it, in a schema of the database's owner.
  await queryDatabase(onDatabase(name), "create schema extensions; create extension pg_trgm schema extensions");
  await queryDatabase(onDatabase(name), `grant usage on schema extensions to ${name}`);
  expect(await sealAll()).toEqual({ words: true, notices: [] });
  expect(await find()).toHaveLength(1);
  await service.close();
});
