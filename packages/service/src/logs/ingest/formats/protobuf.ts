/*
 * The wire format of Protocol Buffers (protobuf.dev, "Encoding"), as far as logs need it. It holds no schema: a reader
 * asks for what it knows and skips the rest.
 */

/** The bytes are no message: cut off, longer than what they are part of, or of a kind that does not exist. */
export class MalformedProtobuf extends Error {}

/** How a field is laid out; the lower three bits of its tag. */
export const wire = { varint: 0, fixed64: 1, bytes: 2, group: 3, groupEnd: 4, fixed32: 5 } as const;

/** The tag under which a field is written. */
export function tagOf(field: number, type: number): number {
  return (field << 3) | type;
}

/** Groups in groups; nobody has sent one since 2008, but who does must not be able to use up the stack. */
const maxGroupDepth = 100;
/** Up to here a number keeps every integer. */
const exactBytes = 7;

/**
 * Reads the fields of one message, one after the other: `tag`, then the value it announces or `skip`. Looks at no byte
 * outside the message. Throws `MalformedProtobuf`.
 */
export class ProtobufReader {
  readonly #bytes: Buffer;
  readonly #end: number;
  #at: number;

  constructor(bytes: Buffer, from = 0, to = bytes.length) {
    this.#bytes = bytes;
    this.#at = from;
    this.#end = to;
  }

  /** The tag of the next field; 0 at the end of the message. */
  tag(): number {
    if (this.#at === this.#end) return 0;
    const tag = this.#varint32("tag");
    if (tag >>> 3 === 0) throw new MalformedProtobuf("a field has the number 0");
    return tag;
  }

  /** A varint that is a uint32 or an enum: of a longer one the lower 32 bits count. */
  uint32(): number {
    return Number(BigInt.asUintN(32, BigInt(this.#varint())));
  }

  bool(): boolean {
    return this.#varint() !== 0;
  }

  /** Beyond 2^53 in either direction the digits, since no number keeps them. */
  int64(): number | string {
    const value = this.#varint();
    if (typeof value === "number") return value;
    const signed = BigInt.asIntN(64, value);
    return signed >= Number.MIN_SAFE_INTEGER && signed <= Number.MAX_SAFE_INTEGER ? Number(signed) : String(signed);
  }

  /** Decimal digits. */
  fixed64(): string {
    return String(this.#bytes.readBigUInt64LE(this.#take(8)));
  }

  fixed32(): number {
    return this.#bytes.readUInt32LE(this.#take(4));
  }

  double(): number {
    return this.#bytes.readDoubleLE(this.#take(8));
  }

  /** A part of the message's own memory. */
  bytes(): Buffer {
    const length = this.#varint32("length");
    const from = this.#take(length);
    return this.#bytes.subarray(from, from + length);
  }

  /** Bytes that are no UTF-8 become U+FFFD. */
  string(): string {
    const length = this.#varint32("length");
    const from = this.#take(length);
    return this.#bytes.toString("utf8", from, from + length);
  }

  /** A message inside this one. */
  message(): ProtobufReader {
    const length = this.#varint32("length");
    const from = this.#take(length);
    return new ProtobufReader(this.#bytes, from, from + length);
  }

  /** Passes over a field that is not known, or not of the type it should have. */
  skip(tag: number, depth = 0): void {
    switch (tag & 7) {
      case wire.varint:
        this.#varint();
        return;
      case wire.fixed64:
        this.#take(8);
        return;
      case wire.bytes:
        this.#take(this.#varint32("length"));
        return;
      case wire.group:
        this.#skipGroup(tag >>> 3, depth + 1);
        return;
      case wire.fixed32:
        this.#take(4);
        return;
      default:
        throw new MalformedProtobuf(`a field has the wire type ${tag & 7}, which does not stand here`);
    }
  }

  #skipGroup(field: number, depth: number): void {
    if (depth > maxGroupDepth) throw new MalformedProtobuf(`groups are nested more than ${maxGroupDepth} deep`);
    for (;;) {
      const tag = this.tag();
      if (tag === 0) throw new MalformedProtobuf("a group does not end");
      if ((tag & 7) !== wire.groupEnd) this.skip(tag, depth);
      else if (tag >>> 3 === field) return;
      else throw new MalformedProtobuf("a group ends that did not begin");
    }
  }

  /** Moves over so many bytes and says where they begin. */
  #take(length: number): number {
    const from = this.#at;
    if (length > this.#end - from) throw new MalformedProtobuf("a value is longer than the message it stands in");
    this.#at = from + length;
    return from;
  }

  #varint32(what: string): number {
    const value = this.#varint();
    if (typeof value === "number" && value <= 0xffffffff) return value;
    throw new MalformedProtobuf(`a ${what} is longer than 32 bits`);
  }

  /** Seven bits a byte, the lowest first. A bigint, of 64 bits, only where a number would lose some. */
  #varint(): number | bigint {
    let value = 0;
    let scale = 1;
    for (let place = 0; place < exactBytes; place++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    let wide = BigInt(value);
    for (let place = exactBytes; place < 10; place++) {
      const byte = this.#byte();
      wide |= BigInt(byte & 0x7f) << BigInt(7 * place);
      if (byte < 0x80) return BigInt.asUintN(64, wide);
    }
    throw new MalformedProtobuf("a number is longer than 10 bytes");
  }

  #byte(): number {
    if (this.#at === this.#end) throw new MalformedProtobuf("it ends in the middle of a field");
    return this.#bytes[this.#at++] as number;
  }
}

/** A field that holds an integer from 0 to 2^53. */
export function varintField(field: number, value: number): Buffer {
  return Buffer.concat([varint(tagOf(field, wire.varint)), varint(value)]);
}

/** A field that holds a text, bytes or a message. */
export function bytesField(field: number, value: string | Uint8Array): Buffer {
  const bytes = typeof value === "string" ? Buffer.from(value) : value;
  return Buffer.concat([varint(tagOf(field, wire.bytes)), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  bytes.push(rest);
  return Buffer.from(bytes);
}
