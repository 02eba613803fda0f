import { intakeLimits, type Rejection } from "@sazabi/sdk/protocol";
import type { TimeSlices } from "../../../concurrency/event-loop-fairness.ts";
import { ApiError } from "../../../errors.ts";
import { type BodyEntry, type Format, type IntakeBody, invalid, tooMany } from "../body.ts";
import { documentIdentity } from "../entry-identity.ts";
import {
  decodeText,
  isJsonObject,
  type JsonObject,
  parseAtOnce,
  parseEntry,
  refuseTooManyMembers,
} from "./json-text.ts";
import { mediaTypeOf } from "./media-type.ts";
import { addMembers, type Members, newMembers } from "./members.ts";

export interface BulkBody extends IntakeBody {
  /** In the order of the body; an entry's or a rejection's `index` is a place in it. */
  readonly operations: readonly BulkOperation[];
}

export interface BulkOperation {
  readonly action: "create" | "index" | "update" | "delete";
  readonly index: string | undefined;
  readonly id: string | undefined;
}

const types = new Set([
  "",
  "application/json",
  "application/x-ndjson",
  "application/vnd.elasticsearch+json",
  "application/vnd.elasticsearch+x-ndjson",
  // What curl says of `--data-binary` when it is not told otherwise.
  "application/x-www-form-urlencoded",
]);

/**
 * What `POST /_bulk` takes: a line that says what to do, and for all but `delete` a line with the document. `defaultIndex`
 * is the one in the path.
 */
export function bulkFormat(contentType: string | undefined, defaultIndex: string | undefined): Format<BulkBody> {
  if (!types.has(mediaTypeOf(contentType))) {
    throw new ApiError(
      "UNSUPPORTED_MEDIA_TYPE",
      "A bulk request is taken as application/x-ndjson or application/json.",
    );
  }
  return (bytes, slices) => readBulk(decodeText(bytes), defaultIndex, slices);
}

/** A document that is wrong is refused alone. A line that is no action throws: what follows it could mean anything. */
async function readBulk(text: string, defaultIndex: string | undefined, slices: TimeSlices): Promise<BulkBody> {
  await refuseTooManyMembers(text, slices);
  const operations: BulkOperation[] = [];
  const entries: BodyEntry[] = [];
  const rejected: Rejection[] = [];
  const lines = linesOf(text);
  for (const line of lines) {
    if (operations.length === intakeLimits.entries) throw tooMany();
    const operation = readAction(line, operations.length, defaultIndex);
    const index = operations.push(operation) - 1;
    const source = operation.action === "delete" ? undefined : lines.next();
    const document = source?.value ?? "";
    const wait = slices.spend(line.length + document.length);
    if (wait) await wait;
    if (source?.done) throw invalid(`Operation ${index} has no document: the body ends after its action line.`);
    if (operation.action === "delete" || operation.action === "update") {
      rejected.push({
        index,
        field: "",
        message: "changes what was sent before, which logs do not. Send create or index.",
      });
      continue;
    }
    const parsing = parseEntry(document, slices);
    const parsed = parsing instanceof Promise ? await parsing : parsing;
    if ("error" in parsed) rejected.push({ index, field: "", message: `${parsed.error}.` });
    else if (!isJsonObject(parsed.value)) rejected.push({ index, field: "", message: "must be a JSON object." });
    else {
      const uid = identityOf(operation.action, operation, document);
      entries.push({ index, value: documentOf(parsed.value, operation), uid });
    }
  }
  if (operations.length === 0)
    throw invalid("The body is empty. Send an action line and a document line for each log.");
  return { operations, entries, rejected };
}

/** An action, its index and its id. */
const maxActionLength = 16 * 1024;

function readAction(line: string, place: number, defaultIndex: string | undefined): BulkOperation {
  if (line.length > maxActionLength) {
    throw invalid(`Operation ${place} has an action line of more than ${maxActionLength} characters.`);
  }
  const parsed = parseAtOnce(line);
  // Elasticsearch takes the first member and ignores the others, which some senders keep notes in.
  const [action, ...others] = "value" in parsed && isJsonObject(parsed.value) ? Object.keys(parsed.value) : [];
  if (!isAction(action) || others.some(isAction)) {
    throw invalid(`Operation ${place} does not begin with an action line, such as {"create":{}}.`);
  }
  const target = (parsed as { value: JsonObject }).value[action];
  if (!isJsonObject(target)) throw invalid(`Operation ${place}: ${action} must be an object.`);
  return { action, index: text(target["_index"]) ?? defaultIndex, id: text(target["_id"]) };
}

function isAction(name: string | undefined): name is BulkOperation["action"] {
  return name === "create" || name === "index" || name === "update" || name === "delete";
}

/** An `_id` is a document's; without one it has none by its action line. */
function identityOf(
  action: "create" | "index",
  { index = "", id }: BulkOperation,
  document: string,
): string | undefined {
  if (id === undefined || id.length > longestName) return undefined;
  return documentIdentity(action, index, id, document);
}

function documentOf(document: JsonObject, { index, id }: BulkOperation): Members {
  const members = newMembers();
  addMembers(members, document as Members, "document");
  const named = newMembers();
  if (index !== undefined) named["_index"] = index;
  if (id !== undefined) named["_id"] = id;
  addMembers(members, named, "bulk");
  return members;
}

/** As Elasticsearch has it. What is longer is cut, since every item repeats it, and is no identity. */
const longestName = 512;

function text(value: unknown): string | undefined {
  const name = typeof value === "number" ? String(value) : value;
  return typeof name === "string" && name !== "" ? name.slice(0, longestName + 1) : undefined;
}

/** The lines that hold something. */
function* linesOf(body: string): Generator<string, undefined> {
  for (let start = 0; start < body.length; ) {
    const newline = body.indexOf("\n", start);
    const end = newline === -1 ? body.length : newline;
    const line = body.slice(start, end).trim();
    start = end + 1;
    if (line !== "") yield line;
  }
}
