import type { Guards } from "./auth/authenticate.ts";
import type { Keyring } from "./auth/keyring.ts";
import type { Changes } from "./changes.ts";
import type { LogTails } from "./logs/live-tail/log-tails.ts";
import type { Retentions } from "./logs/retention.ts";
import type { LogStore } from "./logs/store.ts";
import type { Turns } from "./logs/turns.ts";
import type { Database } from "./store/database.ts";

/** What the routes stand on. */
export interface Services {
  readonly db: Database;
  readonly change: Changes;
  readonly logs: LogStore;
  /** Every search of logs waits here for its turn. */
  readonly turns: Turns;
  readonly tails: LogTails;
  readonly guards: Guards;
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
