import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { bearer, queryDatabase, send, startTestService } from "./support/index.ts";

let database: FreshDatabase;
let home: string;
let dataDir: string;
let notices: string[];

beforeEach(async () => {
  database = await freshDatabase();
  home = await mkdtemp(join(tmpdir(), "sazabi-keys-"));
  dataDir = join(home, "data");
  notices = [];
});
afterEach(async () => {
  await database.drop();
  await rm(home, { recursive: true, force: true });
});

const start = () =>
  startTestService({
    databaseUrl: database.url,
    dataDir,
    keyPepper: undefined,
    masterKey: undefined,
    onProgress: (message) => notices.push(message),
  });

async function startOnce(): Promise<string> {
  const service = await start();
  await service.close();
  return service.secretKey;
}

const files = ["key-pepper", "master-key"] as const;
const modeOf = async (path: string) => (await stat(path)).mode & 0o777;

test("a first start makes a folder and files for their owner alone, with DATABASE_URL too", async () => {
  await startOnce();
  expect(await modeOf(dataDir)).toBe(0o700);
  for (const file of files) expect(await modeOf(join(dataDir, file))).toBe(0o600);
  expect(notices).toEqual([]);
});

describe("with a key file that is lost, a start", () => {
  test.each([
    ["the pepper", ["key-pepper"], "SAZABI_KEY_PEPPER"],
    ["the master key", ["master-key"], "SAZABI_MASTER_KEY"],
    ["both", files, "SAZABI_KEY_PEPPER"],
  ])("writes nothing and says what to do: %s", async (_, lost, variable) => {
    await startOnce();
    for (const file of lost) await rm(join(dataDir, file));
    // As if a migration were due: this one may be applied again.
    await queryDatabase(database.url, "delete from migrations where number = 15");
    const left = await readdir(dataDir);
    const message = new RegExp(
      `${join(dataDir, lost[0] as string)} is missing\\. Nothing was changed\\. Restore .*${variable}`,
    );
    await expect(start()).rejects.toThrow(message);
    expect(await readdir(dataDir)).toEqual(left);
    const { rowCount } = await queryDatabase(database.url, "select from migrations where number = 15");
    expect(rowCount).toBe(0);
  });

  test("writes nothing in a new folder either", async () => {
    await startOnce();
    dataDir = join(home, "another");
    await expect(start()).rejects.toThrow("is missing");
    expect(await readdir(home)).toEqual(["data"]);
  });

  test("works again when it is restored", async () => {
    const secretKey = await startOnce();
    const pepper = await readFile(join(dataDir, "key-pepper"));
    await rm(join(dataDir, "key-pepper"));
    await expect(start()).rejects.toThrow("is missing");
    await writeFile(join(dataDir, "key-pepper"), pepper, { mode: 0o600 });
    const service = await start();
    expect((await send(service, "GET /v1/me", { headers: bearer(secretKey) })).status).toBe(200);
    await service.close();
  });

  test("that was lost for good goes on as docs/operations.md says", async () => {
    const secretKey = await startOnce();
    await rm(join(dataDir, "key-pepper"));
    const page = await readFile(new URL("../../../docs/operations.md", import.meta.url), "utf8");
    const statement = /delete from sazabi\.keyring_fingerprints where keyring = 'pepper';?/.exec(page)?.[0];
    await queryDatabase(database.url, statement as string);
    const service = await start();
    expect((await send(service, "GET /v1/me", { headers: bearer(secretKey) })).status).toBe(401);
    await service.close();
  });
});

describe("rights of others", () => {
  test.each([0o666, 0o640, 0o604, 0o610])("on a key file are taken away, and it is said: mode %o", async (mode) => {
    await startOnce();
    for (const file of files) {
      await chmod(join(dataDir, file), mode);
      await startOnce();
      expect(await modeOf(join(dataDir, file))).toBe(0o600);
      expect(notices.splice(0)).toEqual([
        expect.stringContaining(`could use ${join(dataDir, file)} (mode ${mode.toString(8).padStart(4, "0")})`),
      ]);
    }
  });

  test("to replace files in the data folder are refused", async () => {
    await startOnce();
    await chmod(dataDir, 0o777);
    await expect(start()).rejects.toThrow(`chmod o-w ${dataDir}`);
    await chmod(dataDir, 0o755);
    await startOnce();
  });
});

describe("what is no key file is named, with what to do", () => {
  test("a folder in its place", async () => {
    await mkdir(join(dataDir, "key-pepper"), { recursive: true });
    await expect(start()).rejects.toThrow(`${join(dataDir, "key-pepper")} is not a file. Move it away`);
  });

  test("a file in place of the data folder", async () => {
    await writeFile(dataDir, "");
    await expect(start()).rejects.toThrow(/cannot be opened: a part of its path is a file\. .*SAZABI_DATA_DIR/);
  });

  test("a link to nowhere, which hides that it is lost", async () => {
    await mkdir(dataDir, { mode: 0o700 });
    await symlink(join(home, "nowhere"), join(dataDir, "key-pepper"));
    await expect(start()).rejects.toThrow(`${join(dataDir, "key-pepper")} cannot be made: `);
  });

  test("other contents", async () => {
    await mkdir(dataDir, { mode: 0o700 });
    await writeFile(join(dataDir, "key-pepper"), "secret", { mode: 0o600 });
    await expect(start()).rejects.toThrow(/key-pepper does not hold a keyring .*SAZABI_KEY_PEPPER/);
  });
});
