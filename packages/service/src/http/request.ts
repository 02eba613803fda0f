import type { Issue } from "@sazabi/sdk/protocol";
import type { z } from "zod";
import { ApiError } from "../errors.ts";
import { hideKeys } from "../misplaced-keys.ts";
import { type HttpContext, header } from "./context.ts";

/** Bodies of everything but the intake. */
const maxBodyBytes = 256 * 1024;

/**
 * Returns the request's JSON body as `schema` has it. 400 names each thing that is wrong; 413 and 415 for the rest. A body
 * may take its time, so the caller is judged again when it is there: 401 or 403 when its rights were taken away meanwhile.
 */
export async function readBody<T>(c: HttpContext, schema: z.ZodType<T>, maxBytes = maxBodyBytes): Promise<T> {
  const body = await readJson(c, maxBytes);
  await c.env.admission?.assertStillAllowed();
  return parse(schema, body, "body");
}

/** What is in a body that was read already, as `schema` has it. */
export function parseBody<T>(body: Buffer, schema: z.ZodType<T>): T {
  return parse(schema, parseJson(body), "body");
}

/** The request's query parameters as `schema` has them. */
export function readQuery<T>(c: HttpContext, schema: z.ZodType<T>): T {
  return parse(schema, c.req.query(), "query");
}

/** A query parameter that holds JSON, as `schema` has it. */
export function readJsonParameter<T>(text: string, schema: z.ZodType<T>, name: string): T {
  try {
    return parse(schema, JSON.parse(text), name);
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new ApiError("VALIDATION_ERROR", `${name}: must be JSON.`, {
      issues: [{ path: name, message: "must be JSON" }],
    });
  }
}

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** A path parameter that is an id. A text that is no id names nothing: 404, like an id nobody has. */
export function readId(c: HttpContext, name: string, thing: string): string {
  const id = c.req.param(name) ?? "";
  if (!uuid.test(id)) throw new ApiError("NOT_FOUND", `No such ${thing}.`);
  return id.toLowerCase();
}

async function readJson(c: HttpContext, maxBytes: number): Promise<unknown> {
  const type = header(c, "content-type");
  if (type !== undefined && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "This route takes a JSON body: send Content-Type: application/json.");
  }
  return parseJson(await readBytes(c, maxBytes));
}

/** The request's body as it came. Throws 413 when it is larger than `maxBytes`. */
export async function readBytes(c: HttpContext, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of c.env.incoming as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBytes) {
      throw new ApiError("PAYLOAD_TOO_LARGE", `The body is larger than ${maxBytes} bytes, the limit of this route.`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new ApiError("VALIDATION_ERROR", "The body is not JSON.", {
      issues: [{ path: "body", message: "must be a JSON object" }],
    });
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap((issue) => toIssues(issue, where)).slice(0, 20);
  const first = issues[0] as Issue;
  throw new ApiError("VALIDATION_ERROR", `${first.path}: ${first.message}`, { issues });
}

/** A member that is none of the request's is named like one that is wrong. */
function toIssues(issue: z.core.$ZodIssue, where: string): Issue[] {
  if (issue.code !== "unrecognized_keys") {
    return [{ path: pathOf(issue.path) || where, message: plainWords(issue.message) }];
  }
  return issue.keys.map((name) => ({
    path: hideKeys(pathOf([...issue.path, name])).slice(0, 100),
    message: "is not a member of this request",
  }));
}

/** The validator's stock sentences, in ours. Messages of our own match none of them. */
const stockSentences: readonly (readonly [RegExp, string])[] = [
  [/^Invalid input: expected \w+, received undefined$/, "is required"],
  [/^Invalid input: expected (\w+), received (\w+)$/, "must be of type $1, not $2"],
  [/^Too big: expected \w+ to have <=(\d+) (\w+)$/, "must have at most $1 $2"],
  [/^Too small: expected \w+ to have >=(\d+) (\w+)$/, "must have at least $1 $2"],
  [/^Too big: expected \w+ to be <=?(\S+)$/, "must be at most $1"],
  [/^Too small: expected \w+ to be >=?(\S+)$/, "must be at least $1"],
  [/^Invalid UUID$/, "must be an id (a UUID)"],
  [/^Invalid option: expected one of (.*)$/, "must be one of $1"],
];

function plainWords(message: string): string {
  for (const [stock, ours] of stockSentences) if (stock.test(message)) return message.replace(stock, ours);
  return message;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.map(String).join(".");
}
