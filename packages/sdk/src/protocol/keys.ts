/**
 * The grammar of a key (design.md section 5). A key is recognised, and a mistyped one refused, without any I/O.
 *
 * | style    | secret                                   | public                                        |
 * |----------|------------------------------------------|-----------------------------------------------|
 * | `live`   | `sk_live_` + 30 base62 + 6 base62 CRC-32 | `pk_live_` + 30 base62 + 6 base62 CRC-32      |
 * | `sazabi` | `sazabi_secret_` + 24 hex + 8 hex CRC-32 | `sazabi_public_` + 24 hex + 8 hex CRC-32      |
 *
 * The CRC-32 (IEEE 802.3) covers every character before it, the prefix included.
 */

export type KeyKind = "public" | "secret";
export type KeyStyle = "live" | "sazabi";

export interface ParsedKey {
  readonly kind: KeyKind;
  readonly style: KeyStyle;
  /** The whole key, as it is sent. */
  readonly key: string;
}

/** Why a text is not a key; `other` is something that does not even begin like one. */
export type KeyFault = "other" | "quoted" | "length" | "alphabet" | "checksum";

export type KeyInspection =
  | { readonly valid: true; readonly kind: KeyKind; readonly style: KeyStyle; readonly masked: string }
  | {
      readonly valid: false;
      readonly fault: KeyFault;
      readonly kind?: KeyKind;
      readonly style?: KeyStyle;
      readonly masked: string;
    };

interface KeyForm {
  readonly prefix: string;
  readonly kind: KeyKind;
  readonly style: KeyStyle;
  readonly randomLength: number;
  readonly checksumLength: number;
  readonly alphabet: string;
}

const base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const hex = "0123456789abcdef";

const live = { style: "live", randomLength: 30, checksumLength: 6, alphabet: base62 } as const;
const sazabi = { style: "sazabi", randomLength: 24, checksumLength: 8, alphabet: hex } as const;

const forms: readonly KeyForm[] = [
  { prefix: "sk_live_", kind: "secret", ...live },
  { prefix: "pk_live_", kind: "public", ...live },
  { prefix: "sazabi_secret_", kind: "secret", ...sazabi },
  { prefix: "sazabi_public_", kind: "public", ...sazabi },
];

/** How our own keys begin; no imported key may. */
export const reservedKeyPrefixes: readonly string[] = forms.map(({ prefix }) => prefix);

/** How many characters an imported key has. */
export const importedKeyLength = { min: 16, max: 256 };

/**
 * Whether `text` may be a key that was imported: it begins like none of ours, and like a prefix that an import takes.
 * Only the service knows whether it is one.
 */
export function mayBeImportedKey(text: string): boolean {
  const { min, max } = importedKeyLength;
  if (text.length < min || text.length > max) return false;
  return /^[A-Za-z0-9_.-]{3}[\x21-\x7e]*$/.test(text) && formOf(text) === undefined;
}

/** The key in `text`, or undefined when it is not one: wrong prefix, length, alphabet or checksum. */
export function parseKey(text: string): ParsedKey | undefined {
  const form = formOf(text);
  if (!form || faultOf(text, form)) return undefined;
  return { kind: form.kind, style: form.style, key: text };
}

/** What `text` is, for a person who pasted it. Never holds more of the key than `maskKey` shows. */
export function inspectKey(text: string): KeyInspection {
  const masked = maskKey(text);
  const form = formOf(text);
  if (!form) return { valid: false, fault: /^["'`]./.test(text) ? "quoted" : "other", masked };
  const { kind, style } = form;
  const fault = faultOf(text, form);
  return fault ? { valid: false, fault, kind, style, masked } : { valid: true, kind, style, masked };
}

/**
 * A new key. `randomInt(n)` must be uniform in `[0, n)` and from a CSPRNG: 30 base62 characters are 178 bits,
 * 24 hex digits are 96.
 */
export function makeKey(kind: KeyKind, style: KeyStyle, randomInt: (below: number) => number): string {
  const form = formFor(kind, style);
  let text = form.prefix;
  for (let i = 0; i < form.randomLength; i++) text += form.alphabet[randomInt(form.alphabet.length)];
  return text + checksum(text, form);
}

/** `sk_live_…wxyz`: the prefix and the last four characters of a key; of anything else at most four characters. */
export function maskKey(text: string): string {
  const form = formOf(text);
  if (!form) return text.length > 12 ? `${text.slice(0, 4)}…` : "…";
  return text.length >= form.prefix.length + 12 ? `${form.prefix}…${text.slice(-4)}` : `${form.prefix}…`;
}

/** What `maskKey` shows of a key of which only its form and last four characters are known. */
export function maskOf(kind: KeyKind, style: KeyStyle, lastFour: string): string {
  return `${formFor(kind, style).prefix}…${lastFour}`;
}

function formFor(kind: KeyKind, style: KeyStyle): KeyForm {
  return forms.find((form) => form.kind === kind && form.style === style) as KeyForm;
}

function formOf(text: string): KeyForm | undefined {
  for (const form of forms) if (text.startsWith(form.prefix)) return form;
  return undefined;
}

function faultOf(text: string, form: KeyForm): KeyFault | undefined {
  const bodyStart = form.prefix.length;
  const bodyEnd = bodyStart + form.randomLength;
  if (text.length !== bodyEnd + form.checksumLength) return "length";
  for (let i = bodyStart; i < text.length; i++) if (!form.alphabet.includes(text[i] as string)) return "alphabet";
  return text.slice(bodyEnd) === checksum(text.slice(0, bodyEnd), form) ? undefined : "checksum";
}

function checksum(text: string, form: KeyForm): string {
  const base = form.alphabet.length;
  let rest = crc32(text);
  let digits = "";
  for (let i = 0; i < form.checksumLength; i++) {
    digits = (form.alphabet[rest % base] as string) + digits;
    rest = Math.floor(rest / base);
  }
  return digits;
}

const crcTable = /* @__PURE__ */ Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** CRC-32 (IEEE 802.3) of ASCII text, as an unsigned 32-bit integer. */
function crc32(text: string): number {
  let crc = -1;
  for (let i = 0; i < text.length; i++) {
    crc = (crc >>> 8) ^ (crcTable[(crc ^ text.charCodeAt(i)) & 0xff] as number);
  }
  return (crc ^ -1) >>> 0;
}
