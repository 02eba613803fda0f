import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

const backupFile = z.strictObject({
  name: z.enum(["base.tar", "backup_manifest", "postgres-password", "key-pepper", "master-key"]),
  bytes: z.number().int().min(0),
  sha256,
});

const backupManifest = z.strictObject({
  format: z.literal("sazabi-backup-1"),
  madeAt: z.iso.datetime(),
  /** Major version of PostgreSQL that can read the backup. */
  postgresMajor: z.number().int(),
  files: z.array(backupFile),
});

/** A file of a backup other than its manifest. */
export interface BackupFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
}

export type BackupManifest = z.infer<typeof backupManifest>;

/** Written last: a folder without it is not a complete backup. */
export const manifestName = "sazabi-backup.json";

/** Returns the manifest of the backup in `folder`. Throws when the folder is not a complete backup. */
export async function readManifest(folder: string): Promise<BackupManifest> {
  let text: string;
  try {
    text = await readFile(join(folder, manifestName), "utf8");
  } catch (cause) {
    throw new Error(`${folder} is not a complete backup: it has no ${manifestName}.`, { cause });
  }
  const manifest = parseManifest(text);
  if (!manifest) throw new Error(`${join(folder, manifestName)} is damaged, or of another version of Sazabi.`);
  return manifest;
}

function parseManifest(text: string): BackupManifest | undefined {
  try {
    const { data } = backupManifest.safeParse(JSON.parse(text));
    const names = new Set(data?.files.map(({ name }) => name));
    return names.has("base.tar") && names.has("postgres-password") ? data : undefined;
  } catch {
    return undefined;
  }
}
