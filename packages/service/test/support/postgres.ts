import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { migrate } from "../../src/db/migrate.ts";
import { openEmbeddedPostgres } from "../../src/embedded-postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** A migrated database that freshDatabase() copies. Nobody may stay connected to it. */
    readonly templateUrl: string;
  }
}

/**
 * One server for the whole run: the one named by TEST_POSTGRES_URL (a superuser's or a database creator's), else an
 * embedded one in a temporary folder.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env["TEST_POSTGRES_URL"];
  const server = given ? { url: given, close: async () => {} } : await openTemporaryServer();
  try {
    const name = `sazabi_template_${randomBytes(4).toString("hex")}`;
    await runOn(server.url, `create database ${name} encoding 'UTF8' template template0`);
    const templateUrl = Object.assign(new URL(server.url), { pathname: `/${name}` }).href;
    await migrate(templateUrl);
    project.provide("templateUrl", templateUrl);
    return async () => {
      if (given) await runOn(server.url, `drop database ${name} with (force)`);
      await server.close();
    };
  } catch (error) {
    await server.close();
    throw error;
  }
}

/** Without fsync: what these tests write need not survive the machine. A test of durability opens its own server. */
async function openTemporaryServer(): Promise<{ url: string; close(): Promise<void> }> {
  const dataDir = await mkdtemp(join(tmpdir(), "sazabi-test-"));
  const settings = { fsync: "off", full_page_writes: "off", shared_buffers: "128MB", max_connections: "200" };
  const server = await openEmbeddedPostgres({ dataDir, settings });
  return {
    url: server.url,
    async close() {
      await server.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function runOn(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
