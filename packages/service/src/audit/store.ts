import { createHash, randomUUID } from "node:crypto";
import {
  type Actor,
  type AuditAction,
  type AuditEvent,
  type AuditHead,
  type AuditTarget,
  auditText,
  firstPreviousHash,
} from "@sazabi/sdk/protocol";
import type { Queryable } from "../db/database.ts";
import { join, sql } from "../db/sql.ts";

export interface NewAuditEvent {
  readonly action: AuditAction;
  readonly target: AuditTarget;
  /** Small and without secrets: names, times, scopes. */
  readonly details?: Readonly<Record<string, unknown>>;
  /** Texts of the request that are stored, by member. They must not contain keys. They are checked, not recorded. */
  readonly newTexts?: Readonly<Record<string, string | null | undefined>>;
}

/** The author of an event, and the request that caused it. */
export interface AuditSource {
  readonly organizationId: string;
  readonly actor: Actor;
  readonly address: string | null;
  readonly requestId: string | null;
}

/**
 * Appends events to the chain of the organization, in the transaction of the change they record. The
 * head of the chain stays locked until the commit, so the chain has no gaps or forks.
 */
export async function insertAuditEvents(
  tx: Queryable,
  source: AuditSource,
  events: readonly NewAuditEvent[],
): Promise<void> {
  for (let at = 0; at < events.length; at += eventsAtOnce) {
    await insertChained(tx, source, events.slice(at, at + eventsAtOnce));
  }
}

/**
 * Events per statement. A revocation may end tens of thousands of keys; other requests are handled
 * between two statements.
 */
const eventsAtOnce = 500;

async function insertChained(tx: Queryable, source: AuditSource, events: readonly NewAuditEvent[]): Promise<void> {
  const { organizationId } = source;
  // The no-op update locks the row and reads its latest version.
  const { rows } = await tx.query<{ seq: string; hash: Buffer; now: Date }>(sql`
    insert into audit_heads as h (organization_id, seq, hash) values (${organizationId}, 0, ${Buffer.alloc(32)})
    on conflict (organization_id) do update set seq = h.seq
    returning seq, hash, date_trunc('milliseconds', clock_timestamp()) as now`);
  const head = rows[0] as { seq: string; hash: Buffer; now: Date };
  const chained = chain(source, events, { seq: Number(head.seq), hash: head.hash.toString("hex"), at: head.now });
  const last = chained.at(-1);
  if (!last) return;
  await tx.query(sql`
    with head as (
      update audit_heads set seq = ${last.seq}, hash = ${Buffer.from(last.hash, "hex")}
      where organization_id = ${organizationId}
    )
    insert into audit_events (organization_id, seq, id, at, actor, action, target, details, address, request_id,
                              previous_hash, hash)
    select ${organizationId}, e.* from jsonb_to_recordset(${JSON.stringify(chained.map(toRow))}) as e(
      seq bigint, id uuid, at timestamptz, actor jsonb, action text, target jsonb, details jsonb, address text,
      request_id text, previous_hash bytea, hash bytea)`);
}

function chain(
  source: AuditSource,
  events: readonly NewAuditEvent[],
  head: { seq: number; hash: string; at: Date },
): readonly AuditEvent[] {
  let previousHash = head.hash;
  return events.map(({ action, target, details = {} }, index) => {
    const event = {
      id: randomUUID(),
      seq: head.seq + 1 + index,
      organizationId: source.organizationId,
      at: head.at.toISOString(),
      actor: source.actor,
      action,
      target,
      // Normalized as when read back, since the hash covers what is stored.
      details: JSON.parse(JSON.stringify(details)),
      address: source.address,
      requestId: source.requestId,
      previousHash: previousHash || firstPreviousHash,
    };
    const hash = createHash("sha256").update(auditText(event)).digest("hex");
    previousHash = hash;
    return { ...event, hash };
  });
}

export interface AuditFilter {
  readonly action?: string | undefined;
  readonly actorId?: string | undefined;
  readonly targetId?: string | undefined;
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  /** Only events with a smaller number. */
  readonly before?: number | undefined;
  readonly limit: number;
}

interface AuditRow {
  id: string;
  seq: string;
  organization_id: string;
  at: Date;
  actor: Actor;
  action: string;
  target: AuditTarget;
  details: Record<string, unknown>;
  address: string | null;
  request_id: string | null;
  previous_hash: Buffer;
  hash: Buffer;
}

/** Returns events, newest first: one more than `limit` when there is a next page. */
export async function listAuditEvents(
  db: Queryable,
  organizationId: string,
  filter: AuditFilter,
): Promise<readonly AuditEvent[]> {
  const conditions = [sql`organization_id = ${organizationId}`];
  if (filter.action) conditions.push(sql`action = ${filter.action}`);
  if (filter.actorId) conditions.push(sql`actor ->> 'id' = ${filter.actorId}`);
  if (filter.targetId) conditions.push(sql`target ->> 'id' = ${filter.targetId}`);
  if (filter.from) conditions.push(sql`at >= ${filter.from}`);
  if (filter.to) conditions.push(sql`at < ${filter.to}`);
  if (filter.before !== undefined) conditions.push(sql`seq < ${filter.before}`);
  const { rows } = await db.query<AuditRow>(sql`
    select * from audit_events where ${join(conditions, " and ")} order by seq desc limit ${filter.limit + 1}`);
  return rows.map(toEvent);
}

/** Returns the head of the organization's chain, at which a verification must end. */
export async function findAuditHead(db: Queryable, organizationId: string): Promise<AuditHead> {
  const { rows } = await db.query<{ seq: string; hash: Buffer }>(
    sql`select seq, hash from audit_heads where organization_id = ${organizationId}`,
  );
  const row = rows[0];
  return row ? { seq: Number(row.seq), hash: row.hash.toString("hex") } : { seq: 0, hash: firstPreviousHash };
}

function toRow(event: AuditEvent) {
  return {
    ...event,
    request_id: event.requestId,
    previous_hash: `\\x${event.previousHash}`,
    hash: `\\x${event.hash}`,
  };
}

function toEvent(row: AuditRow): AuditEvent {
  return {
    id: row.id,
    seq: Number(row.seq),
    organizationId: row.organization_id,
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    target: row.target,
    details: row.details,
    address: row.address,
    requestId: row.request_id,
    previousHash: row.previous_hash.toString("hex"),
    hash: row.hash.toString("hex"),
  };
}
