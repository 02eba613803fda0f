import { insertAuditEvents, type NewAuditEvent } from "./audit/store.ts";
import { keyChangeToAwait } from "./auth/revocation/key-changes.ts";
import type { KeyVerifier } from "./auth/verify/verifier.ts";
import { type ConcurrencyLimits, FairConcurrencyLimiter } from "./concurrency/fair-concurrency.ts";
import { type Database, isConflict, type Queryable } from "./db/database.ts";
import { invalidMember } from "./errors.ts";
import type { ChangeAuthor } from "./http/guards.ts";
import { lockOrganization } from "./organizations/store.ts";
import { importedKeyCandidates } from "./redaction/key-redaction.ts";

/** A transaction that also collects its audit events. */
export interface Change extends Queryable {
  record(event: NewAuditEvent): void;
}

/**
 * Runs every change: `work` and its audit events are committed together or not at all. When it
 * resolves, no process can use the previous state of a changed key.
 *
 * The transaction locks the organization, then checks the author again. All changes that remove
 * permissions take the same lock. So a change commits only if its author has the permissions at that
 * moment, and a revocation sees every committed change. The author is checked once more before the
 * response, which may contain a new key.
 */
export type AuditedTransaction = <T>(
  author: ChangeAuthor,
  work: (change: Change) => Promise<T>,
  lane?: Lane,
) => Promise<T>;

/** Revocations have a separate queue: with a shared one, a leaked key could delay them with other changes. */
type Lane = "changes" | "revocations";

/**
 * Changes of an organization are serialized by the database anyway. They are queued here so that one
 * organization does not use all connections, nor one key all places in the queue.
 */
const laneLimits: Omit<ConcurrencyLimits, "what"> = {
  total: { running: 4, waiting: 4096 },
  organization: { running: 1, waiting: 1024 },
  unnarrowed: { running: 1, waiting: 1024 },
  project: { running: 1, waiting: 512 },
  key: { running: 1, waiting: 256 },
  waitMs: 30_000,
};

/**
 * Rejects imported keys in names and reasons, which are stored and shown. Keys issued by this service
 * are recognized by their format and rejected earlier. Only texts of this request are checked: a text
 * stored before a key was imported must not prevent a revocation or deletion.
 */
async function refuseImportedKeys(
  keys: KeyVerifier,
  tx: Queryable,
  { organizationId, requestId }: ChangeAuthor,
  events: readonly NewAuditEvent[],
): Promise<void> {
  // Many events may have the same reason.
  const members = new Map<string, string>();
  for (const { newTexts = {} } of events) {
    for (const [member, text] of Object.entries(newTexts)) if (text) members.set(text, member);
  }
  if (events.length > 0 && requestId) members.set(requestId, "x-request-id");
  const candidates = new Map<string, string>();
  for (const [text, member] of members) {
    for (const candidate of importedKeyCandidates(text)) candidates.set(candidate, member);
  }
  const found = await keys.importedAmongStored(tx, organizationId, [...candidates.keys()]);
  if (found === undefined) return;
  const member = candidates.get(found) as string;
  throw invalidMember(member, "must not hold a key: it is kept and shown");
}

export function createAuditedTransaction(db: Database, keys: KeyVerifier): AuditedTransaction {
  const lanes: Readonly<Record<Lane, FairConcurrencyLimiter>> = {
    changes: new FairConcurrencyLimiter({ what: "changes", ...laneLimits }),
    revocations: new FairConcurrencyLimiter({ what: "revocations", ...laneLimits }),
  };
  return async (author, work, lane = "changes") => {
    const attempt = () =>
      db.transaction(async (tx) => {
        await lockOrganization(tx, author.organizationId);
        await author.assertStillAllowed(tx);
        const events: NewAuditEvent[] = [];
        const result = await work({ query: (statement) => tx.query(statement), record: (event) => events.push(event) });
        await refuseImportedKeys(keys, tx, author, events);
        if (events.length > 0) await insertAuditEvents(tx, author, events);
        const ofItself = events.some(({ target }) => target.id === author.keyId);
        return { result, seq: await keyChangeToAwait(tx), ofItself };
      });
    const attempts = () =>
      attempt().catch((error) => {
        if (isConflict(error)) return attempt();
        throw error;
      });
    const { result, seq, ofItself } = await lanes[lane].run(author, attempts);
    await keys.awaitForgotten(seq);
    // A revocation may have completed meanwhile. A change of the author's own key may have removed the
    // permissions itself.
    if (!ofItself) await author.assertStillAllowed();
    return result;
  };
}
