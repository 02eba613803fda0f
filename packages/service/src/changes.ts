import type { KeyDirectory } from "./auth/key-directory.ts";
import { type AuditSource, insertAuditEvents, type NewAuditEvent } from "./store/audit.ts";
import { type Database, isConflict, type Queryable } from "./store/database.ts";
import { keyChangeToAwait } from "./store/key-changes.ts";

/** A transaction that also collects what shall be on record about it. */
export interface Change extends Queryable {
  record(event: NewAuditEvent): void;
}

/**
 * The one way to change anything: `work` and what it puts on record are committed together or not at all, and when
 * this resolves no process can act any more on a key as it was before.
 */
export type Changes = <T>(source: AuditSource, work: (change: Change) => Promise<T>) => Promise<T>;

export function changesOf(db: Database, keys: KeyDirectory): Changes {
  return async (source, work) => {
    const attempt = () =>
      db.transaction(async (tx) => {
        const events: NewAuditEvent[] = [];
        const result = await work({ query: (statement) => tx.query(statement), record: (event) => events.push(event) });
        if (events.length > 0) await insertAuditEvents(tx, source, events);
        return { result, seq: await keyChangeToAwait(tx) };
      });
    const { result, seq } = await attempt().catch((error) => {
      if (isConflict(error)) return attempt();
      throw error;
    });
    await keys.awaitForgotten(seq);
    return result;
  };
}
