import type { Guards } from "./auth/authenticate.ts";
import type { GithubSignatures } from "./auth/github-signatures.ts";
import type { KeyReports } from "./auth/key-reports.ts";
import type { Keyring } from "./auth/keyring.ts";
import type { KnownKey } from "./auth/known-key.ts";
import type { LocalRateLimiter } from "./auth/rate-limit.ts";
import type { Changes } from "./changes.ts";
import type { FairConcurrencyLimiter } from "./fair-concurrency.ts";
import type { BodyBudget } from "./http/body-budget.ts";
import type { LogTails } from "./logs/live-tail/log-tails.ts";
import type { ByteMeter } from "./logs/metering.ts";
import type { Retentions } from "./logs/retention.ts";
import type { LogStore } from "./logs/store.ts";
import type { Database } from "./store/database.ts";

/** The parts of the service that routes use. */
export interface Services {
  readonly db: Database;
  readonly change: Changes;
  readonly logs: LogStore;
  readonly intakeMeter: ByteMeter;
  /** The memory of request bodies; `gauges` for metrics. */
  readonly bodies: BodyBudget;
  /** Every search of logs runs through it; see `runSearch`. */
  readonly searches: FairConcurrencyLimiter;
  readonly nativeQueries: FairConcurrencyLimiter;
  readonly tails: LogTails;
  readonly guards: Guards;
  /** Returns the key that has a secret with this text, live or dead, of any organization. */
  readonly identifyKey: (text: string) => Promise<KnownKey | undefined>;
  /** Writes the uses of a key that this process holds in memory. */
  readonly flushUses: (keyId: string) => Promise<void>;
  readonly reports: KeyReports;
  /** Bounds reports of keys by address. */
  readonly reportLimiter: LocalRateLimiter;
  /** Undefined: reports in GitHub's format are not taken. */
  readonly githubSignatures: GithubSignatures | undefined;
  /** The longest stall of the event loop within the last seconds. */
  readonly recentStallMs: () => number;
  /** True while keys are checked without asking the database. */
  readonly leaseHeld: () => boolean;
  /** Unix milliseconds by the database's clock, by which keys end on every replica alike. */
  readonly now: () => number;
  readonly pepper: Keyring;
  readonly master: Keyring;
  readonly logRetentionDays: number;
  readonly retentions: Retentions;
  /** Requests a minute for a secret key without a limit of its own. */
  readonly requestsPerMinute: number;
}
