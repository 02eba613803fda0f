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

  /** The text in UTF-8. Give it back when nobody reads it any more, or drop it; once. */
  take(text: string): Buffer {
    if (text.length < shortLength || this.#lent.size === maxBuffers || !fits(text)) return Buffer.from(text);
    const buffer = this.#free.pop() ?? Buffer.allocUnsafeSlow(bufferBytes);
    const bytes = buffer.subarray(0, buffer.write(text));
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

function fits(text: string): boolean {
  return text.length * maxUnitBytes <= bufferBytes || Buffer.byteLength(text) <= bufferBytes;
}
