import { insertAuditEvents, type NewAuditEvent } from "./audit/store.ts";
import { keyChangeToAwait } from "./auth/revocation/key-changes.ts";
import type { KeyVerifier } from "./auth/verify/verifier.ts";
import { type ConcurrencyLimits, FairConcurrencyLimiter } from "./concurrency/fair-concurrency.ts";
import { type Database, isConflict, type Queryable } from "./db/database.ts";
import { invalidMember } from "./errors.ts";
import type { ChangeAuthor } from "./http/guards.ts";
import { lockOrganization } from "./organizations/store.ts";
import { importedKeyCandidates } from "./redaction/key-redaction.ts";

/** A transaction that also collects what shall be on record about it. */
export interface Change extends Queryable {
  record(event: NewAuditEvent): void;
}

/**
 * The one way to change anything: `work` and what it puts on record are committed together or not at all, and when
 * this resolves no process can act any more on a key as it was before.
 *
 * The transaction locks the organization, then checks the author again. Everything that takes rights away does so under
 * the same lock. So a change commits only for an author who has the rights at that moment, and none commits unseen by a
 * revocation. The author is checked once more before the answer, which may hold a new key.
 */
export type AuditedTransaction = <T>(
  author: ChangeAuthor,
  work: (change: Change) => Promise<T>,
  lane?: Lane,
) => Promise<T>;

/** Revocations do not wait behind other changes of the organization: a leaked key could keep them waiting. */
type Lane = "changes" | "revocations";

/**
 * The changes of an organization wait for one another in the database anyway. They wait here, so that one organization
 * does not take the connections of all, nor one key the place of the others.
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
 * Names and reasons are kept and shown. Keys of our own make are refused before: they are known by their looks. Only what
 * this request brings is checked: a text that was stored before a key was imported must not keep anything from being
 * revoked or deleted.
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
    // A revocation may have answered by now. A change of the author's own key is what took the rights away itself.
    if (!ofItself) await author.assertStillAllowed();
    return result;
  };
}
