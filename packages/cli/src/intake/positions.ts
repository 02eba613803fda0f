import { createHash, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { CliError } from "../errors.ts";
import { writePrivateFile } from "../private-files.ts";
import type { Batch, InputPlace } from "./batches.ts";
import { type FollowedPart, headBytes } from "./follow.ts";

/** The position in a file from which the rest is to be sent. */
interface FilePlace extends InputPlace {
  readonly device: number;
  readonly inode: number;
  /** A hash of the first bytes of the file. A difference means another file, or replaced content. */
  readonly head: { readonly bytes: number; readonly sha256: string };
}

/** A batch that was about to be sent and may have been stored. */
interface Pending {
  readonly idempotencyKey: string;
  readonly body: string;
  readonly after: FilePlace;
}

interface Kept {
  readonly place: FilePlace | undefined;
  readonly pending: Pending | undefined;
}

const nothing: Kept = { place: undefined, pending: undefined };

/** What a position belongs to: one file, address and key. */
interface Followed {
  readonly file: string;
  readonly apiUrl: string;
  readonly publicKey: string;
  readonly anew: boolean;
}

/** Where to start with a followed file. */
export interface FollowStart {
  /** The file that was being read, possibly renamed since. Undefined if it no longer exists. */
  readonly first: { readonly path: string; readonly offset: number } | undefined;
  readonly from: InputPlace;
}

/**
 * Stores how far a followed file was sent, so that the next run neither repeats nor skips a line, however this one
 * ends. A batch is recorded with its idempotency key before it is sent. The next run resends it under the same key, so
 * the service stores it once.
 */
export class Positions {
  /** Undefined if there is no directory to store positions in. */
  readonly #path: string | undefined;
  #kept: Kept;
  readonly #onProblem: (problem: CliError) => void;
  /** The files whose bytes are not all in batches yet. */
  readonly #parts: FollowedPart[] = [];

  private constructor(path: string | undefined, kept: Kept, onProblem: (problem: CliError) => void) {
    this.#path = path;
    this.#kept = kept;
    this.#onProblem = onProblem;
  }

  /**
   * Opens the positions of a file. `onProblem` is called if a position cannot be written. `anew` discards the stored
   * position.
   */
  static open(
    directory: () => string,
    { file, apiUrl, publicKey, anew }: Followed,
    onProblem: (problem: CliError) => void,
  ): Positions {
    const name = sha256(JSON.stringify([resolve(file), apiUrl, publicKey])).slice(0, 32);
    const path = pathIn(directory, `${name}.json`, onProblem);
    return new Positions(path, anew || path === undefined ? nothing : read(path), onProblem);
  }

  /** The batch that the last run was sending when it ended. */
  get pending(): Pending | undefined {
    return this.#kept.pending;
  }

  /** Returns where the last run ended, or undefined if there was none. */
  async start(file: string): Promise<FollowStart | undefined> {
    const { place } = this.#kept;
    if (!place) return undefined;
    const path = await findFile(file, place);
    const { offset, lines, held } = place;
    if (path === undefined) return { first: undefined, from: { offset: 0, lines: 0, held } };
    return { first: { path, offset }, from: { offset: 0, lines, held } };
  }

  /**
   * Call with each part of the input before its first byte. The first file is recorded at once, because it may be
   * rotated soon.
   */
  addPart(part: FollowedPart): void {
    this.#parts.push(part);
    if (!this.#kept.place && part.from === 0) {
      const { device, inode } = part;
      const head = { bytes: 0, sha256: sha256("") };
      this.#keep({ ...this.#kept, place: { device, inode, offset: 0, lines: 0, head } });
    }
  }

  /** Records a batch before it is sent. Returns the idempotency key to send it with. */
  begin({ body, next }: Batch): string {
    const idempotencyKey = randomUUID();
    const after = next && this.#placeOf(next);
    if (after) this.#keep({ place: this.#kept.place, pending: { idempotencyKey, body, after } });
    return idempotencyKey;
  }

  /** Call when the service has responded to the last recorded batch. */
  done(): void {
    const { pending } = this.#kept;
    if (pending) this.#keep({ place: pending.after, pending: undefined });
  }

  #keep(kept: Kept): void {
    this.#kept = kept;
    if (this.#path === undefined) return;
    try {
      writePrivateFile(this.#path, JSON.stringify(kept));
    } catch (error) {
      if (!(error instanceof CliError)) throw error;
      this.#onProblem(error);
    }
  }

  /**
   * Returns undefined for UTF-16: input offsets differ from file offsets, and only the beginning has the byte order
   * mark.
   */
  #placeOf({ offset, lines, held }: InputPlace): FilePlace | undefined {
    while (this.#parts[1] && this.#parts[1].inputOffset <= offset) this.#parts.shift();
    const [part] = this.#parts;
    // Nothing is read yet: the batch is made of what was held.
    if (!part) return this.#kept.place && { ...this.#kept.place, held };
    if (isUtf16(part.head)) return undefined;
    const { device, inode, from, inputOffset, end } = part;
    // A line feed may have been added after the last line of the file.
    const inFile = Math.min(from + offset - inputOffset, end);
    const head = part.head.subarray(0, inFile);
    return { device, inode, offset: inFile, lines, held, head: { bytes: head.length, sha256: sha256(head) } };
  }
}

function pathIn(directory: () => string, name: string, onProblem: (problem: CliError) => void): string | undefined {
  try {
    return join(directory(), "positions", name);
  } catch (error) {
    if (!(error instanceof CliError)) throw error;
    onProblem(error);
    return undefined;
  }
}

const isUtf16 = ([first, second]: Buffer) => (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff);

const sha256 = (content: string | Uint8Array) => createHash("sha256").update(content).digest("hex");

function read(path: string): Kept {
  try {
    const { place, pending } = JSON.parse(readFileSync(path, "utf8")) as Partial<Kept>;
    return { place, pending };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return nothing;
    throw new CliError(`Cannot read ${path}, which says how far the file was sent.`, {
      code: "POSITION",
      hint: "--from-start sends the file from its beginning.",
      cause,
    });
  }
}

/** Returns the path of the file of a position: the same path, or another in its directory after a rotation. */
async function findFile(file: string, place: FilePlace): Promise<string | undefined> {
  if (await isIn(file, place)) return file;
  const folder = dirname(file);
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name);
    if (await isIn(path, place)) return path;
  }
  return undefined;
}

async function isIn(path: string, { device, inode, offset, head }: FilePlace): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats?.isFile() || stats.dev !== device || stats.ino !== inode || stats.size < offset) return false;
  // Other files of the directory may be unreadable.
  const file = await open(path, "r").catch(() => undefined);
  if (!file) return false;
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(headBytes), 0, head.bytes, 0);
    return sha256(buffer.subarray(0, bytesRead)) === head.sha256;
  } finally {
    await file.close();
  }
}
