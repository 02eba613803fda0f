import { expect, test } from "vitest";
import { migrate } from "../src/db/migrate.ts";
import { freshDatabase } from "./support/database.ts";
import { queryDatabase, startTestService } from "./support/index.ts";
import { newKeyring } from "./support/keyring.ts";
import { dumpSchema } from "./support/schema.ts";

async function withDatabase(work: (url: string) => Promise<void>): Promise<void> {
  const database = await freshDatabase();
  try {
    await work(database.url);
  } finally {
    await database.drop();
  }
}

test("an empty database is brought up to date once, by however many processes start at once", () =>
  withDatabase(async (url) => {
    await queryDatabase(url, "drop schema sazabi cascade");
    const applied: string[] = [];
    await Promise.all([1, 2, 3].map(() => migrate(url, (name) => applied.push(name))));
    expect(applied.length).toBeGreaterThan(0);
    expect(new Set(applied).size).toBe(applied.length);
    const again: string[] = [];
    await migrate(url, (name) => again.push(name));
    expect(again).toEqual([]);
  }));

test("the schema is what schema.txt says", () =>
  withDatabase(async (url) => {
    await expect(await dumpSchema(url)).toMatchFileSnapshot("schema.txt");
  }));

test("a database of a version before the first release is refused, with what to do", () =>
  withDatabase(async (url) => {
    await queryDatabase(url, "update migrations set name = '0001_foundation.sql', hash = 'other' where number = 1");
    await expect(migrate(url)).rejects.toThrow(/before the first release.*empty database/s);
  }));

test("a database ahead of the code is refused", () =>
  withDatabase(async (url) => {
    await queryDatabase(url, "insert into migrations (number, name, hash) values (9999, '9999_future.sql', 'x')");
    await expect(migrate(url)).rejects.toThrow(/ahead of this version/);
  }));

test("a migration that was applied with other contents is refused", () =>
  withDatabase(async (url) => {
    await queryDatabase(url, "update migrations set hash = 'other' where number = 1");
    await expect(migrate(url)).rejects.toThrow(/Migration 1 was applied with other contents/);
  }));

test("a service with another pepper than the keys were made under does not start", () =>
  withDatabase(async (databaseUrl) => {
    const first = await startTestService({ databaseUrl });
    await first.close();
    await expect(startTestService({ databaseUrl, ...first.keyrings, keyPepper: newKeyring() })).rejects.toThrow(
      /another key pepper \(version 1\)/,
    );
    await expect(startTestService({ databaseUrl, ...first.keyrings, masterKey: newKeyring() })).rejects.toThrow(
      /another master key/,
    );
    const second = await startTestService({ databaseUrl, ...first.keyrings });
    await second.close();
  }));

test("of two first starts at the same moment, one makes the first keys", () =>
  withDatabase(async (databaseUrl) => {
    const keyrings = { keyPepper: newKeyring(), masterKey: newKeyring() };
    const services = await Promise.all([1, 2].map(() => startTestService({ databaseUrl, ...keyrings })));
    expect(services.filter(({ secretKey }) => secretKey !== "")).toHaveLength(1);
    const { rows } = await queryDatabase(databaseUrl, "select count(*)::int as organizations from organizations");
    expect(rows[0].organizations).toBe(1);
    await Promise.all(services.map((service) => service.close()));
  }));
