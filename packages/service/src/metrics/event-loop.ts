import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { log } from "../logger.ts";
import type { Metrics, Sample } from "./metrics.ts";

const resolutionMs = 20;
const windowMs = 5_000;
/** Stalls of at least this length are logged. */
const loggedStallMs = 1_000;

interface Window {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** Measures the delay of the event loop, which every request of this process waits for. */
export class EventLoopWatchdog {
  readonly #histogram: IntervalHistogram;
  readonly #timer: NodeJS.Timeout;
  /** The last complete window. */
  #last: Window = { p50: 0, p99: 0, max: 0 };

  constructor() {
    this.#histogram = monitorEventLoopDelay({ resolution: resolutionMs });
    this.#histogram.enable();
    this.#timer = setInterval(() => this.#endWindow(), windowMs).unref();
  }

  /** Returns the longest stall of the last five to ten seconds, in milliseconds. */
  recentStallMs(): number {
    return Math.max(this.#last.max, delayMs(this.#histogram.max));
  }

  registerAt(metrics: Metrics): void {
    metrics.gauge(
      "sazabi_event_loop_delay_seconds",
      "How late the event loop was in the last five seconds.",
      (): readonly Sample[] => [
        { labels: { quantile: "0.5" }, value: this.#last.p50 / 1000 },
        { labels: { quantile: "0.99" }, value: this.#last.p99 / 1000 },
      ],
    );
    metrics.gauge(
      "sazabi_event_loop_stall_seconds",
      "The longest stall of the event loop in the last five to ten seconds.",
      () => this.recentStallMs() / 1000,
    );
  }

  close(): void {
    clearInterval(this.#timer);
    this.#histogram.disable();
  }

  #endWindow(): void {
    const { max } = this.#histogram;
    this.#last = {
      p50: delayMs(this.#histogram.percentile(50)),
      p99: delayMs(this.#histogram.percentile(99)),
      max: delayMs(max),
    };
    this.#histogram.reset();
    if (this.#last.max >= loggedStallMs) {
      log.warn("event loop stalled", { stallMs: Math.round(this.#last.max), p99Ms: Math.round(this.#last.p99) });
    }
  }
}

/**
 * Converts an interval in nanoseconds, which includes that of the timer itself, to a delay in
 * milliseconds. An empty histogram has a maximum of 0.
 */
function delayMs(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e6 - resolutionMs);
}
