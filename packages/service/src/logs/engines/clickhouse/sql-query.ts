import type { ClickHouseSettings } from "@clickhouse/client";
import { decimalText } from "@sazabi/sdk/protocol";
import { ApiError } from "../../../errors.ts";
import type { NativeAnswer, NativeRequest } from "../../log-store.ts";
import { NativeText, nativeBounds, refusedQuery } from "../../sql-query-answer.ts";
import { decodeAttributes } from "./attributes.ts";
import { isVisible, readVisible } from "./commit-visibility.ts";
import { type Reading, timestampLiteral } from "./reader.ts";
import { compileNative, type Kind } from "./sql-query-compile.ts";
import { parseNative, type Select } from "./sql-query-parse.ts";
import { NativeFault } from "./sql-query-tokens.ts";
import { ch } from "./statement.ts";

/*
 * Somebody else's SQL, in our ClickHouse. What keeps it in (docs/decisions/0009):
 *
 * 1. The server never sees it. It is read by a parser of our own, which knows a small part of the language, and what was
 *    read is written anew (native-parse.ts, native-compile.ts).
 * 2. What is written reads one table, with the condition on project, retention and what is committed beside its name.
 * 3. It calls functions of a list, none of which fails by what is in a row, reaches outside, or makes long values of short ones.
 * 4. It runs read-only, with bounds of time, memory, threads and disk, and few run at once.
 */

const memoryBytes = 512 * 1024 * 1024;
const settings: ClickHouseSettings = {
  max_memory_usage: String(memoryBytes),
  max_temporary_data_on_disk_size_for_query: String(256 * 1024 * 1024),
  max_result_bytes: String(256 * 1024 * 1024),
  result_overflow_mode: "throw",
  timeout_overflow_mode: "throw",
  // Each has buffers of its own, and a server has other work.
  max_threads: 2,
  allow_ddl: 0,
  allow_introspection_functions: 0,
  // Numbers in `group by` and `order by` were understood already.
  enable_positional_arguments: 0,
};

/** Throws 400 for what the query is refused with, 504 when it takes too long. */
export async function queryNative(reading: Reading, request: NativeRequest): Promise<NativeAnswer> {
  const query = parsed(request.text);
  const visible = isVisible(await readVisible(reading.db, [request.projectNumber]));
  const condition = ch`${visible} and ts >= ${timestampLiteral(request.keptFromMicros ?? 0)}`;
  const { statement, columns } = explainSqlErrors(() =>
    compileNative(query, condition, Date.now() * 1000, nativeBounds),
  );
  const text = new NativeText(columns.map(({ name }) => name));
  const timeoutMs = Math.min(reading.timeoutMs, nativeBounds.timeMs);
  try {
    await reading.server.takeRows<Row>(statement, { timeoutMs, signal: request.signal, settings }, (row) =>
      text.add(columns.map(({ kind }, place) => cellOf(kind, row[`o${place}`]))),
    );
  } catch (error) {
    throw refusal(error);
  }
  return text.answer();
}

type Row = Readonly<Record<string, string | Readonly<Record<string, string>> | null | undefined>>;

function parsed(text: string): Select {
  return explainSqlErrors(() => parseNative(text));
}

function explainSqlErrors<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof NativeFault ? refusedQuery(error.message) : error;
  }
}

/** What the server says is not passed on: it quotes values. */
function refusal(error: unknown): unknown {
  const { type = "" } = ((error instanceof ApiError && error.cause) || error) as { type?: string };
  if (tooMuch.test(type)) {
    return refusedQuery(`it takes more than ${memoryBytes / 1024 / 1024} MiB of memory; ask for less`);
  }
  if (faults.test(type)) return refusedQuery(`ClickHouse does not take it: ${type}`);
  return error;
}

const tooMuch = /^(?:MEMORY_LIMIT_EXCEEDED|TOO_MANY_ROWS_OR_BYTES|TOO_MANY_BYTES)$/;
/** What is wrong with a query, and not with the server: a pattern that is none, more depth than it takes. */
const faults =
  /^(?:CANNOT_COMPILE_REGEXP|CANNOT_PARSE_ESCAPE_SEQUENCE|ILLEGAL_TYPE_OF_ARGUMENT|ARGUMENT_OUT_OF_BOUND|BAD_ARGUMENTS|TOO_DEEP_RECURSION|TOO_BIG_AST|TOO_DEEP_AST)$/;

/** A value as PostgreSQL would print it. */
function cellOf(kind: Kind, value: Row[string]): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value !== "string") return attributesText(value);
  return kind === "timestamp" ? `${value.replace(/\.0+$|(?<=\.\d*[1-9])0+$/, "")}+00` : value;
}

/** Shorter names first, as `jsonb` has them. */
function attributesText(encoded: Readonly<Record<string, string>>): string {
  const attributes = decodeAttributes(encoded);
  const names = Object.keys(attributes).map((name) => ({ name, bytes: Buffer.from(name) }));
  names.sort((a, b) => a.bytes.length - b.bytes.length || a.bytes.compare(b.bytes));
  const members = names.map(({ name }) => {
    const value = attributes[name] as (typeof attributes)[string];
    return `${JSON.stringify(name)}: ${typeof value === "number" ? decimalText(value) : JSON.stringify(value)}`;
  });
  return `{${members.join(", ")}}`;
}
