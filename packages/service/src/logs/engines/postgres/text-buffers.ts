/** More than a batch of a thousand usual rows takes; what is not written to costs no memory. */
const bufferBytes = 512 * 1024;
/** Held at most, lent and free. */
const maxBuffers = 32;
/** Shorter texts get a buffer of their own: Node has cheap ones for them. */
const shortLength = 16 * 1024;
/** Of a unit of UTF-16, in UTF-8. */
const maxUnitBytes = 3;

/**
 * Texts as bytes, in buffers that are used again. Made anew for each commit they would outlive what the garbage
 * collector finds cheap, and their bytes count for it: it would go through the whole heap several times a second.
 */
export class TextBuffers {
  readonly #free: Buffer[] = [];
  /** By what was made of them. */
  readonly #lent = new Map<Buffer, Buffer>();

  /** The texts, one behind the other, in UTF-8. Give it back when nobody reads it any more, or drop it; once. */
  take(texts: readonly string[]): Buffer {
    const length = texts.reduce((sum, text) => sum + text.length, 0);
    if (length < shortLength || this.#lent.size === maxBuffers || !fits(length, texts)) return bytesOf(texts);
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    const bytes = buffer.subarray(
      0,
      texts.reduce((end, text) => end + buffer.write(text, end), 0),
    );
    this.#lent.set(bytes, buffer);
    return bytes;
  }

  /** Its bytes are another text's from now on. */
  give(bytes: Buffer): void {
    const buffer = this.#lent.get(bytes);
    if (buffer) this.#free.push(buffer);
    this.#lent.delete(bytes);
  }

  /** Of bytes that somebody may still read: a connection that broke while they were sent. */
  drop(bytes: Buffer): void {
    this.#lent.delete(bytes);
  }
}

/** In a buffer of their own. */
export function bytesOf(texts: readonly string[]): Buffer {
  return Buffer.from(texts.join(""));
}

function fits(length: number, texts: readonly string[]): boolean {
  if (length * maxUnitBytes <= bufferBytes) return true;
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) <= bufferBytes;
}
