import { countReplicas } from "./auth/revocation/key-changes.ts";
import type { DeadKeyUses } from "./auth/verify/dead-key-uses.ts";
import type { KeyVerifier } from "./auth/verify/verifier.ts";
import type { FairConcurrencyLimiter } from "./concurrency/fair-concurrency.ts";
import type { Database } from "./db/database.ts";
import type { BodyBudget } from "./http/body-budget.ts";
import type { Connections } from "./http/connections.ts";
import type { UnsentAnswers } from "./http/unsent-answers.ts";
import type { KeyReports } from "./keys/reports/key-reports.ts";
import type { KeyUses } from "./keys/usage/uses.ts";
import type { LogTails } from "./logs/live-tail/log-tails.ts";
import type { EventLoopWatchdog } from "./metrics/event-loop.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { RequestCounts } from "./metrics/request-counts.ts";
import { registerPool } from "./metrics/store-metrics.ts";

export interface MeasuredParts {
  readonly db: Database;
  readonly keys: KeyVerifier;
  readonly uses: KeyUses;
  readonly deadKeys: DeadKeyUses;
  readonly reports: KeyReports;
  readonly searches: FairConcurrencyLimiter;
  readonly nativeQueries: FairConcurrencyLimiter;
  readonly tails: LogTails;
  readonly bodies: BodyBudget;
  readonly unsent: UnsentAnswers;
  readonly connections: Connections;
  readonly requests: RequestCounts;
  readonly watchdog: EventLoopWatchdog;
}

/** Registers the metrics of the service. The log store registers its own. */
export function registerServiceMetrics(metrics: Metrics, parts: MeasuredParts): void {
  const { db, keys, uses, deadKeys, reports, searches, nativeQueries, tails, bodies, unsent } = parts;
  const { connections, requests, watchdog } = parts;
  watchdog.registerAt(metrics);
  metrics.counter("sazabi_requests_total", "Answered requests by class of status.", () => requests.samples());
  metrics.gauge("sazabi_requests_in_flight", "Requests whose answer is not made yet.", () => requests.inFlight);
  metrics.gauge("sazabi_connections_open", "Open HTTP connections.", () => connections.open);
  metrics.counter(
    "sazabi_connections_refused_total",
    "Connections refused because their address had too many.",
    () => connections.refused,
  );
  metrics.counter(
    "sazabi_connections_stuck_total",
    "Connections closed because their client took nothing of its answer.",
    () => connections.stuck,
  );
  metrics.gauge("sazabi_unsent_answer_bytes", "Bytes of large answers that are being sent.", () => {
    return unsent.gauges().bytes;
  });
  metrics.counter("sazabi_answers_cut_off_total", "Large answers cut off because all of them held too much.", () => {
    return unsent.gauges().cutOff;
  });
  metrics.gauge("sazabi_lease_held", "1 while keys are checked from memory.", () => Number(keys.leaseHeld));
  metrics.gauge("sazabi_replicas", "Processes that hold a lease on this database.", () => countReplicas(db));
  metrics.counter("sazabi_dead_key_uses_total", "Requests with a key that is no longer valid.", () =>
    deadKeys.samples(),
  );
  metrics.counter("sazabi_key_reports_total", "Reports of found keys, by what was found.", () => reports.samples());
  metrics.gauge("sazabi_key_reports_waiting", "Reports that are not looked up yet.", () => reports.waiting);
  metrics.gauge("sazabi_key_uses_held", "Counts of key uses that are not written yet.", () => uses.held);
  const ofKinds = (state: "running" | "waiting") => [
    { labels: { kind: "search" }, value: searches[state] },
    { labels: { kind: "native" }, value: nativeQueries[state] },
  ];
  metrics.gauge("sazabi_searches_running", "Searches of logs under way.", () => ofKinds("running"));
  metrics.gauge("sazabi_searches_waiting", "Searches of logs that wait for a place.", () => ofKinds("waiting"));
  metrics.gauge("sazabi_tails_open", "Open tails.", () => tails.gauges().open);
  metrics.gauge("sazabi_tail_buffered_bytes", "Bytes that are held for readers of tails.", () => {
    return tails.gauges().bufferedBytes;
  });
  metrics.gauge("sazabi_body_bytes", "Memory of request bodies in hand.", () => bodySamples(bodies, "bytes"));
  metrics.gauge("sazabi_body_limit_bytes", "What they may take.", () => bodySamples(bodies, "limitBytes"));
  metrics.counter("sazabi_bodies_refused_total", "Bodies refused for their memory.", () =>
    bodySamples(bodies, "refused"),
  );
  registerPool(metrics, "requests", db);
  metrics.gauge("process_resident_memory_bytes", "Resident memory of the process.", () => process.memoryUsage.rss());
  metrics.gauge("nodejs_heap_size_used_bytes", "Used heap of the process.", () => process.memoryUsage().heapUsed);
  metrics.gauge("nodejs_external_memory_bytes", "Memory outside of the heap, such as buffers.", () => {
    const { external } = process.memoryUsage();
    return external;
  });
  metrics.gauge("process_start_time_seconds", "Start of the process in Unix time.", () => startedAtSeconds);
}

function bodySamples(bodies: BodyBudget, figure: "bytes" | "limitBytes" | "refused") {
  return Object.entries(bodies.gauges()).map(([budget, figures]) => ({ labels: { budget }, value: figures[figure] }));
}

const startedAtSeconds = Math.round(Date.now() / 1000 - process.uptime());
