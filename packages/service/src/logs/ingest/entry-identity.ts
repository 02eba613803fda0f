import { hash } from "node:crypto";
import { parseTimestamp } from "@sazabi/sdk/protocol";

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

/**
 * What makes two sendings of an entry with a `log.record.uid` one: all that was sent, the uid among it. The uid alone
 * would let anybody who has the public key, and guesses a uid, send another entry first and have the real one left out.
 */
export function uidIdentity(members: Readonly<Record<string, unknown>>): string {
  return `uid:${digest(JSON.stringify(members))}`;
}

/** What makes two documents one: the action, their index, `_id` and text. */
export function documentIdentity(action: "create" | "index", index: string, id: string, document: string): string {
  return `_id:${digest(JSON.stringify([action, index, id, document]))}`;
}

function isId(id: unknown): boolean {
  return typeof id === "number" || (typeof id === "string" && id !== "" && id.length <= maxIdLength);
}

function digest(text: string): string {
  return hash("sha256", text, "base64url");
}
