import { hash } from "node:crypto";
import { parseTimestamp } from "./timestamp.ts";

const maxIdLength = 200;

/**
 * What makes two sendings of an entry one, for who gave it an `id`: undefined without an `id` of 1 to 200 characters or
 * without a time of its own, `sentAt`. An `id` alone may be an order's, whose logs are many; so the time and everything
 * else that was sent count too, and only what is equal in all of it is a repetition.
 */
export function plainIdentity(members: Readonly<Record<string, unknown>>, sentAt: unknown): string | undefined {
  const id = members["id"];
  if (!isId(id) || sentAt === undefined || parseTimestamp(sentAt) === undefined) return undefined;
  // As it was sent: what intake shortens or mends is still told apart.
  return `id:${digest(JSON.stringify(members))}`;
}

/** What makes two documents one: their index and `_id`, and for `index` the document as well, since it replaces others. */
export function documentIdentity(action: "create" | "index", index: string, id: string, document: string): string {
  return `_id:${digest(JSON.stringify([action, index, id, action === "index" ? document : ""]))}`;
}

function isId(id: unknown): boolean {
  return typeof id === "number" || (typeof id === "string" && id !== "" && id.length <= maxIdLength);
}

function digest(text: string): string {
  return hash("sha256", text, "base64url");
}
