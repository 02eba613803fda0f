import { maskKey, parseKey } from "@sazabi/sdk/protocol";
import { insertAuditEvents } from "../../audit/store.ts";
import type { CachedKey } from "../../auth/verify/cached-key.ts";
import type { KeyVerifier } from "../../auth/verify/verifier.ts";
import { type Database, isUnavailable } from "../../db/database.ts";
import { ApiError } from "../../errors.ts";
import { deathOf } from "../../http/guards.ts";
import { log } from "../../logger.ts";
import type { Sample } from "../../metrics/metrics.ts";
import { lockOrganization } from "../../organizations/store.ts";
import { hideKeys, urlHoldsKey } from "../../redaction/key-redaction.ts";

/** Report of a key found in a public or otherwise wrong place. */
export interface KeyReport {
  /** Never logged or stored. */
  readonly key: string;
  readonly url?: string | undefined;
  readonly source?: string | undefined;
  readonly note?: string | undefined;
  /** The name of the reporter, recorded in the audit event. */
  readonly reporter: string;
  readonly address: string;
  readonly requestId: string;
}

/** What a reported text is. */
export type ReportedKind = "secret" | "public" | "unknown";

const maxWaiting = 1_000;
const retryMs = 1_000;
/**
 * Maximum audit events and log lines about one key per hour, so that a holder of a key cannot flood
 * the audit log of its owner.
 */
const eventsPerHour = 10;
const hourMs = 3_600_000;
const maxCounted = 10_000;

/**
 * Notifies the owners of leaked keys with an audit event of the organization and a log line. Revokes
 * nothing.
 *
 * `accept` returns before anything is looked up, so that its response and its timing are the same for
 * every text.
 */
export class KeyReports {
  readonly #db: Database;
  readonly #keys: KeyVerifier;
  readonly #waiting: KeyReport[] = [];
  readonly #events = new Map<string, { hour: number; count: number }>();
  readonly #totals: Record<ReportedKind, number> = { secret: 0, public: 0, unknown: 0 };
  #working: Promise<void> | undefined;
  #closed = false;

  constructor(db: Database, keys: KeyVerifier) {
    this.#db = db;
    this.#keys = keys;
  }

  /** Queues a report for a later look-up. Throws 503 when too many are queued. */
  accept(report: KeyReport): void {
    if (this.#waiting.length >= maxWaiting) {
      throw new ApiError("UNAVAILABLE", "Too many reports wait to be looked at. Report the key again later.", {
        retryAfterSeconds: 60,
      });
    }
    this.#waiting.push(report);
    this.#working ??= this.#work();
  }

  /** Looks up a report and notifies the owner. Rejects when the database is unavailable. */
  async record(report: KeyReport): Promise<ReportedKind> {
    const found = await this.#keys.findIn(this.#db, report.key);
    const kind = found?.kind ?? "unknown";
    // Public keys appear in web pages, so finding one is not a leak.
    if (found && kind === "secret") await this.#tellOwner(found, report);
    this.#totals[kind] += 1;
    return kind;
  }

  samples(): readonly Sample[] {
    return Object.entries(this.#totals).map(([kind, value]) => ({ labels: { kind }, value }));
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Looks up the queued reports. Drops those that the database cannot answer now. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#working;
  }

  async #work(): Promise<void> {
    // Wait until the response to the reporting request is sent.
    await new Promise((resolve) => setImmediate(resolve));
    for (let report = this.#waiting[0]; report; report = this.#waiting[0]) {
      try {
        await this.record(report);
      } catch (error) {
        log.warn("report of a key could not be looked up", { error, waiting: this.#waiting.length });
        if (isUnavailable(error)) {
          if (this.#closed) break;
          await new Promise((resolve) => setTimeout(resolve, retryMs));
          continue;
        }
      }
      this.#waiting.shift();
    }
    this.#working = undefined;
  }

  async #tellOwner(key: CachedKey, report: KeyReport): Promise<void> {
    const { keyId, keyName, organizationId } = key;
    if (this.#recorded(keyId) >= eventsPerHour) return;
    const state = deathOf(key, this.#keys.now()) ?? "live";
    const { reporter } = report;
    const where = Object.fromEntries(
      (["url", "source", "note"] as const).flatMap((name) => {
        const text = report[name];
        return text ? [[name, withoutKey(text, report.key)]] : [];
      }),
    );
    const masked = parseKey(report.key) ? { masked: maskKey(report.key) } : {};
    const source = {
      organizationId,
      actor: { kind: "system", name: reporter },
      address: report.address,
      requestId: report.requestId,
    } as const;
    await this.#db.transaction(async (tx) => {
      await lockOrganization(tx, organizationId);
      await insertAuditEvents(tx, source, [
        {
          action: "secret_key.reported",
          target: { kind: "secret_key", id: keyId, name: keyName },
          details: { ...masked, state, ...where },
        },
      ]);
    });
    // Count only recorded events, so that retries do not use up the hourly limit.
    this.#countRecorded(keyId);
    log.each("warn", "a secret key was reported as found", { keyId, organizationId, state, reporter });
  }

  /** Returns the number of events about a key in this hour. */
  #recorded(keyId: string): number {
    const known = this.#events.get(keyId);
    return known?.hour === currentHour() ? known.count : 0;
  }

  #countRecorded(keyId: string): void {
    const count = this.#recorded(keyId) + 1;
    this.#events.delete(keyId);
    this.#events.set(keyId, { hour: currentHour(), count });
    if (this.#events.size > maxCounted) this.#events.delete(this.#events.keys().next().value as string);
  }
}

function currentHour(): number {
  return Math.floor(performance.now() / hourMs);
}

/** Removes a key from the URL or note of its own report, including its URL-encoded form. */
function withoutKey(text: string, key: string): string {
  const plain = hideKeys(text.replaceAll(key, "…").replaceAll(encodeURIComponent(key), "…"));
  return urlHoldsKey(plain) || decoded(plain).includes(key) ? "(not kept: it held a key)" : plain;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
