import { readFile } from "node:fs/promises";
import { usageError } from "../errors.ts";
import { readBytes } from "../input.ts";
import { systemMessage } from "../os-error-text.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";

/** A field as typed: `a[b]=1`. */
export interface GivenField {
  readonly text: string;
  /** True for `-F`: converts true, false, null and numbers to JSON values, and reads `@file`. */
  readonly typed: boolean;
}

export type ApiFields = { readonly [name: string]: unknown };

/** Far above the request limit of any service. */
const maxInputBytes = 64 * 1024 * 1024;

/** Converts fields such as `a=1`, `a[b]=1` and `a[]=1` to an object. */
export async function readFields(session: Session, given: readonly GivenField[]): Promise<ApiFields> {
  const fields: Record<string, unknown> = Object.create(null);
  for (const { text, typed } of given) {
    const [path, value] = split(typed ? "-F" : "-f", text);
    put(fields, path, typed ? await typedValue(session, value) : value, text);
  }
  return fields;
}

export function hasFields(fields: ApiFields): boolean {
  return Object.keys(fields).length > 0;
}

/** Returns the bytes of a file, or of stdin for `-`. */
export async function readInput(session: Session, file: string): Promise<Uint8Array<ArrayBuffer>> {
  if (file === "-") return readStdin(session, "--input");
  try {
    return Uint8Array.from(await readFile(file));
  } catch (cause) {
    throw usageError(`--input: cannot read ${visible(file)} (${systemMessage(cause)}).`);
  }
}

function split(option: string, text: string): readonly [path: readonly string[], value: string] {
  const [, name = "", brackets = "", value = ""] = /^([^=[\]]+)((?:\[[^[\]]*\])*)=(.*)$/s.exec(text) ?? [];
  if (name === "") throw usageError(`${option}: ${visible(text)} is not a field.`, "Write it as name=value.");
  return [[name, ...[...brackets.matchAll(/\[([^[\]]*)\]/g)].map(([, key = ""]) => key)], value];
}

/** Sets the value at `path`. An empty key appends to a list. */
function put(fields: Record<string, unknown>, path: readonly string[], value: unknown, text: string): void {
  let place: Record<string, unknown> | unknown[] = fields;
  for (const [i, key] of path.entries()) {
    const next = path[i + 1];
    const isLast = next === undefined;
    if (Array.isArray(place) !== (key === "")) throw clash(text);
    const existing: unknown = Array.isArray(place) ? undefined : place[key];
    if (existing !== undefined && (isLast || typeof existing !== "object" || existing === null)) throw clash(text);
    const child: unknown = isLast ? value : (existing ?? (next === "" ? [] : Object.create(null)));
    if (Array.isArray(place)) place.push(child);
    else place[key] = child;
    place = child as typeof place;
  }
}

function clash(text: string) {
  return usageError(`The field ${visible(text)} conflicts with an earlier field.`);
}

async function typedValue(session: Session, text: string): Promise<unknown> {
  if (text === "true" || text === "false" || text === "null") return JSON.parse(text);
  if (/^-?(0|[1-9]\d{0,14})(\.\d+)?$/.test(text)) return Number(text);
  if (!text.startsWith("@")) return text;
  const file = text.slice(1);
  const bytes = file === "-" ? await readStdin(session, "-F") : await readInput(session, file);
  return Buffer.from(bytes).toString("utf8");
}

async function readStdin(session: Session, option: string): Promise<Buffer<ArrayBuffer>> {
  const { stdin } = session.context;
  if (stdin.isTTY) throw usageError(`${option} reads stdin, and stdin is a terminal.`);
  if (session.flags.keyStdin) throw usageError(`${option} and --key-stdin cannot both read stdin.`);
  return readBytes(stdin, maxInputBytes, `${option}: at most 64 MiB.`);
}
