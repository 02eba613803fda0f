import { usageError } from "../errors.ts";
import type { Session } from "../session.ts";
import { formatTime, formatZone, parseTime } from "../times.ts";
import type { WindowOptions } from "./window-options.ts";

/** A time range in the API's format: `from` is inclusive, `to` exclusive. */
export interface Window {
  readonly from?: string;
  readonly to?: string;
}

export function readWindow(session: Session, { since, from, to }: WindowOptions): Window {
  if (since !== undefined && from !== undefined) throw usageError("--since and --from exclude each other.");
  const now = session.context.now();
  const start = since === undefined ? from && parseTime("--from", from, now) : parseTime("--since", since, now);
  const end = to && parseTime("--to", to, now);
  if (start && end && start >= end) {
    throw usageError(`The time span is empty: it starts at ${formatTime(start)} and ends at ${formatTime(end)}.`);
  }
  if (start && !end && start > now) {
    throw usageError(
      `The time span is empty: it starts at ${formatTime(start)}, and now it is ${formatTime(now)} (${formatZone(now)}).`,
    );
  }
  return { ...(start ? { from: start.toISOString() } : {}), ...(end ? { to: end.toISOString() } : {}) };
}
