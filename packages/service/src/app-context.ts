import type { AuditedTransaction } from "./audited-transaction.ts";
import type { LocalRateLimiter } from "./auth/rate-limit/rate-limit.ts";
import type { CachedKey } from "./auth/verify/cached-key.ts";
import type { FairConcurrencyLimiter } from "./concurrency/fair-concurrency.ts";
import type { Keyring } from "./crypto/keyring.ts";
import type { Database } from "./db/database.ts";
import type { BodyBudget } from "./http/body-budget.ts";
import type { Guards } from "./http/guards.ts";
import type { GithubSignatures } from "./keys/reports/github-signatures.ts";
import type { KeyReports } from "./keys/reports/key-reports.ts";
import type { ByteMeter } from "./logs/ingest/byte-rate-limit.ts";
import type { LogTails } from "./logs/live-tail/log-tails.ts";
import type { LogStore } from "./logs/log-store.ts";
import type { Retentions } from "./logs/retention.ts";

/** Dependencies of the routes. */
export interface AppContext {
  readonly db: Database;
  readonly change: AuditedTransaction;
  readonly logs: LogStore;
  readonly intakeMeter: ByteMeter;
  /** Memory budget of request bodies; `gauges` for metrics. */
  readonly bodies: BodyBudget;
  /** Runs all log searches; see `runSearch`. */
  readonly searches: FairConcurrencyLimiter;
  readonly nativeQueries: FairConcurrencyLimiter;
  readonly tails: LogTails;
  readonly guards: Guards;
  /** Returns the key that has a secret with this text, live or dead, of any organization. */
  readonly identifyKey: (text: string) => Promise<CachedKey | undefined>;
  /** Writes the uses of a key that this process holds in memory. */
  readonly flushUses: (keyId: string) => Promise<void>;
  readonly reports: KeyReports;
  /** Limits reports of keys by address. */
  readonly reportLimiter: LocalRateLimiter;
  /** Undefined: reports in the format of GitHub are rejected. */
  readonly githubSignatures: GithubSignatures | undefined;
  /** Returns the longest stall of the event loop in the last seconds, in milliseconds. */
  readonly recentStallMs: () => number;
  /** True while keys are verified without querying the database. */
  readonly leaseHeld: () => boolean;
  /** Returns Unix milliseconds by the clock of the database, which decides expiry on all replicas. */
  readonly now: () => number;
  readonly pepper: Keyring;
  readonly master: Keyring;
  readonly logRetentionDays: number;
  readonly retentions: Retentions;
  /** Requests per minute of a secret key without its own limit. */
  readonly requestsPerMinute: number;
}
