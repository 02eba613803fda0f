import { createHash, type Hash } from "node:crypto";
import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import pg from "pg";
import type { BackupFile } from "./manifest.ts";

/**
 * Writes a base backup of a running PostgreSQL (15 or newer) into `dir`: `base.tar`, including the WAL
 * it needs, and the `backup_manifest` of PostgreSQL. The server verifies the checksum of each page it
 * reads.
 *
 * It uses the same command as `pg_basebackup`, so PostgreSQL guarantees consistency. A temporary
 * replication slot keeps the WAL until it is copied; the server drops the slot when this connection
 * ends for any reason.
 */
export async function takeBaseBackup(url: string, dir: string, signal?: AbortSignal): Promise<readonly BackupFile[]> {
  const client = new pg.Client({
    connectionString: url,
    replication: "true",
    application_name: "sazabi backup",
    connectionTimeoutMillis: 10_000,
  } as pg.ClientConfig);
  client.on("error", () => {}); // The current command fails with the reason.
  await client.connect();
  const files = new BackupFiles(dir);
  const onAbort = () => client.connection.stream.destroy(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    signal?.throwIfAborted();
    await client.query(`CREATE_REPLICATION_SLOT sazabi_backup_${process.pid} TEMPORARY PHYSICAL (RESERVE_WAL)`);
    await runBaseBackup(client, files);
    return files.finish();
  } finally {
    signal?.removeEventListener("abort", onAbort);
    files.close();
    await client.end().catch(() => undefined);
  }
}

/** Unlike SQL, replication commands must be in upper case. */
const baseBackup = "BASE_BACKUP (LABEL 'sazabi', CHECKPOINT 'fast', WAL, MANIFEST 'yes', MANIFEST_CHECKSUMS 'SHA256')";

interface CopyConnection {
  readonly stream: Socket;
}

function runBaseBackup(client: pg.Client, files: BackupFiles): Promise<void> {
  return new Promise((resolve, reject) => {
    let failure: Error | undefined;
    const query = new pg.Query(baseBackup);
    query.once("error", (error: Error) => reject(failure ?? error));
    query.once("end", () => resolve());
    const handleCopyData = ({ chunk }: { readonly chunk: Buffer }, { stream }: CopyConnection) => {
      try {
        // Written synchronously: the server waits meanwhile, and the driver reuses the buffer.
        if (!failure) files.take(chunk);
      } catch (error) {
        failure = error as Error;
        stream.destroy(failure);
      }
    };
    client.query(Object.assign(query, { handleCopyData }));
  });
}

/** Writes the files that the messages of a base backup contain, one after the other. */
class BackupFiles {
  readonly #dir: string;
  readonly #done: BackupFile[] = [];
  #open: { readonly name: string; readonly fd: number; readonly hash: Hash; bytes: number } | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Processes one message; its first byte is the type. */
  take(message: Buffer): void {
    const body = message.subarray(1);
    switch (String.fromCharCode(message[0] as number)) {
      case "n":
        this.#begin(body.toString("utf8", 0, body.indexOf(0)));
        break;
      case "m":
        this.#begin("backup_manifest");
        break;
      case "d":
        this.#write(body);
        break;
      default: // Progress.
    }
  }

  finish(): readonly BackupFile[] {
    this.#end();
    return this.#done;
  }

  close(): void {
    if (this.#open) closeSync(this.#open.fd);
    this.#open = undefined;
  }

  #begin(name: string): void {
    this.#end();
    if (!/^[\w.-]+$/.test(name)) throw new Error("PostgreSQL sent a file with an unexpected name.");
    const fd = openSync(join(this.#dir, name), "wx", 0o600);
    this.#open = { name, fd, hash: createHash("sha256"), bytes: 0 };
  }

  #write(chunk: Buffer): void {
    if (!this.#open) throw new Error("PostgreSQL sent data of no file.");
    const { fd, hash } = this.#open;
    hash.update(chunk);
    for (let written = 0; written < chunk.length; ) written += writeSync(fd, chunk, written);
    this.#open.bytes += chunk.length;
  }

  #end(): void {
    if (!this.#open) return;
    const { name, fd, hash, bytes } = this.#open;
    fsyncSync(fd);
    this.close();
    this.#done.push({ name, bytes, sha256: hash.digest("hex") });
  }
}
