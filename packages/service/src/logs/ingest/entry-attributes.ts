import type { AttributeValue } from "@sazabi/sdk/protocol";

/** Without a prototype, so that `__proto__` is a key like others; made by a constructor, so that access stays fast. */
export const Attributes = function Attributes() {} as unknown as new () => Record<string, AttributeValue>;
Attributes.prototype = Object.create(null);

/** The columns and headers of an entry's row. */
export const entryOverheadBytes = 100;
/** What an attribute takes besides its text: quotes, separators, headers. */
const attributeOverheadBytes = 16;

/** In UTF-16 units: good enough to tell that an entry is far from its limit. */
export function attributeSize(key: string, value: AttributeValue): number {
  return key.length + attributeOverheadBytes + (typeof value === "string" ? value.length : 8);
}

export function attributeBytes(key: string, value: AttributeValue | undefined): number {
  return Buffer.byteLength(key) + attributeOverheadBytes + (typeof value === "string" ? Buffer.byteLength(value) : 8);
}
