import { searchAheadMs } from "@sazabi/sdk";
import type { Session } from "../session.ts";
import { formatSpan, formatTime, formatZone } from "../times.ts";
import { formatProject } from "./project-option.ts";
import { readWindow } from "./window.ts";
import type { WindowOptions } from "./window-options.ts";

const defaultWindowMs = 86_400_000;

export interface WholeWindow {
  readonly start: Date;
  readonly end: Date;
  /** True if no end was given: the range ends at the latest time that an entry can have. */
  readonly isOpen: boolean;
}

/**
 * Reads a time range with both ends. The default is that of a query: from 24 hours ago to the latest time that an entry
 * can have.
 */
export function readWholeWindow(session: Session, options: WindowOptions): WholeWindow {
  const { from, to } = readWindow(session, options);
  const now = session.context.now().getTime();
  const end = to === undefined ? now + searchAheadMs : Date.parse(to);
  const start = from === undefined ? Math.min(now, end) - defaultWindowMs : Date.parse(from);
  return { start: new Date(start), end: new Date(end), isOpen: to === undefined };
}

/** Describes the search: `2026-11-22 08:00:00 to 2026-11-22 09:00:00 (UTC), in project shop (SAZABI_PROJECT_ID)`. */
export function formatSearched(session: Session, { start, end, isOpen }: WholeWindow): string {
  const window = isOpen ? `${formatTime(start)} and later (${formatZone(start)})` : formatSpan(start, end);
  return window + formatProject(session);
}
