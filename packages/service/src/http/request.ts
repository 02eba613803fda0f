import type { Issue } from "@sazabi/sdk/protocol";
import type { z } from "zod";
import { TimeSlices } from "../concurrency/event-loop-fairness.ts";
import { JsonLimit, parseInSteps, stepLength } from "../concurrency/json-steps.ts";
import { ApiError } from "../errors.ts";
import { hideKeys } from "../redaction/key-redaction.ts";
import type { BodyReservation } from "./body-budget.ts";
import { type HttpContext, header, reserveBody } from "./context.ts";
import { receiveBody } from "./receive-body.ts";

/** Maximum size of bodies, except for ingestion. */
const maxBodyBytes = 256 * 1024;
/** Maximum number of members in objects and arrays at all depths; more than the largest import of keys has. */
const maxMembers = 30_000;
/** Maximum number of issues in one error response. */
const maxIssues = 20;

/**
 * Returns the JSON body parsed by `schema`. Throws 400 with each issue, 413 or 415. Receiving a body
 * may take long, so the caller is checked again afterwards: 401 or 403 when it lost its permissions.
 */
export async function readBody<T>(c: HttpContext, schema: z.ZodType<T>, maxBytes = maxBodyBytes): Promise<T> {
  refuseOtherTypes(c);
  const reservation = reserveBody(c);
  try {
    const bytes = await receive(c, maxBytes, reservation);
    await c.env.admission?.assertStillAllowed();
    return parse(schema, await parseJson(bytes), "body");
  } finally {
    reservation.release();
  }
}

/** Parses a body that was already read with `schema`. */
export async function parseBody<T>(body: Buffer, schema: z.ZodType<T>): Promise<T> {
  return parse(schema, await parseJson(body), "body");
}

/** Returns the raw request body. Throws 413 when it is larger than `maxBytes`. */
export async function readBytes(c: HttpContext, maxBytes: number): Promise<Buffer> {
  const reservation = reserveBody(c);
  try {
    return await receive(c, maxBytes, reservation);
  } finally {
    reservation.release();
  }
}

/** Returns the query parameters parsed by `schema`. */
export function readQuery<T>(c: HttpContext, schema: z.ZodType<T>): T {
  return parse(schema, c.req.query(), "query");
}

/** Parses a query parameter that contains JSON with `schema`. */
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

/** Returns a path parameter that is an id. Throws 404 for a malformed id, as for an unknown one. */
export function readId(c: HttpContext, name: string, thing: string): string {
  const id = c.req.param(name) ?? "";
  if (!uuid.test(id)) throw new ApiError("NOT_FOUND", `No such ${thing}.`);
  return id.toLowerCase();
}

function refuseOtherTypes(c: HttpContext): void {
  const type = header(c, "content-type");
  if (type !== undefined && !/^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(type)) {
    throw new ApiError("UNSUPPORTED_MEDIA_TYPE", "This route takes a JSON body: send Content-Type: application/json.");
  }
}

async function receive(c: HttpContext, maxBytes: number, reservation: BodyReservation): Promise<Buffer> {
  if (Number(header(c, "content-length")) > maxBytes) throw tooLarge(maxBytes);
  const chunks: Buffer[] = [];
  let bytes = 0;
  await receiveBody(c.env.incoming, (chunk) => {
    bytes += chunk.length;
    if (bytes > maxBytes) throw tooLarge(maxBytes);
    reservation.grow(chunk.length);
    chunks.push(chunk);
  });
  return Buffer.concat(chunks);
}

function tooLarge(maxBytes: number): ApiError {
  return new ApiError("PAYLOAD_TOO_LARGE", `The body is larger than ${maxBytes} bytes, the limit of this route.`);
}

/** Parses long bodies in time slices that alternate with other work. */
async function parseJson(body: Buffer): Promise<unknown> {
  const text = body.toString("utf8");
  try {
    if (text.length <= stepLength) return JSON.parse(text);
    const slices = new TimeSlices();
    await slices.next();
    return await parseInSteps(text, { slices, maxMembers });
  } catch (error) {
    if (error instanceof JsonLimit) throw new ApiError("PAYLOAD_TOO_LARGE", `The body ${error.message}.`);
    throw new ApiError("VALIDATION_ERROR", "The body is not JSON.", {
      issues: [{ path: "body", message: "must be a JSON object" }],
    });
  }
}

function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap((issue) => toIssues(issue, where)).slice(0, maxIssues);
  const first = issues[0] as Issue;
  throw new ApiError("VALIDATION_ERROR", `${first.path}: ${first.message}`, { issues });
}

/**
 * Converts an issue of the validator. An unknown member is reported under its own path. For a union,
 * the issue is that of the type which the value has.
 */
function toIssues(issue: z.core.$ZodIssue, where: string): Issue[] {
  if (issue.code === "invalid_union") {
    const meant = issue.errors.find((errors) => !errors.some(isOfAnotherType));
    if (meant) return meant.flatMap((inner) => toIssues({ ...inner, path: [...issue.path, ...inner.path] }, where));
  }
  if (issue.code !== "unrecognized_keys") {
    return [{ path: pathOf(issue.path) || where, message: plainWords(issue.message) }];
  }
  return issue.keys.slice(0, maxIssues).map((name) => ({
    path: hideKeys(pathOf([...issue.path, name])).slice(0, 100),
    message: "is not a member of this request",
  }));
}

/** Returns whether the value does not have this type of a union. */
function isOfAnotherType(issue: z.core.$ZodIssue): boolean {
  if (issue.code === "invalid_union") return issue.errors.every((errors) => errors.some(isOfAnotherType));
  return issue.code === "invalid_type" && issue.path.length === 0;
}

/** Rewrites the stock messages of the validator. Custom messages match none of these. */
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
