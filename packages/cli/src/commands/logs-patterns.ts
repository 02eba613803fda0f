import type { LogPattern } from "@sazabi/sdk";
import type { Session } from "../session.ts";
import { formatTime } from "../times.ts";
import { findProjectId } from "./project-option.ts";
import { formatSearched, readWholeWindow } from "./whole-window.ts";
import type { WindowOptions } from "./window-options.ts";

export interface PatternsOptions extends WindowOptions {
  readonly limit: number;
  readonly project?: string;
}

/** The limit of the service. */
const mostPatterns = 100;

/** Prints the most frequent message patterns. */
export async function patterns(session: Session, query: string, options: PatternsOptions): Promise<void> {
  const window = readWholeWindow(session, options);
  const { start, end } = window;
  const admin = await session.admin();
  const projectId = await findProjectId(session, admin, options.project);
  const limit = Math.min(options.limit, mostPatterns);
  const answer = await admin.logs.patterns(
    {
      projectId,
      startDate: start.toISOString(),
      endDate: end.toISOString(),
      limit,
      ...(query.trim() === "" ? {} : { query }),
    },
    { signal: session.context.signal },
  );
  await session.rows<LogPattern>(
    answer.patterns,
    [
      { title: "count", value: ({ occurrences }) => occurrences.toLocaleString("en"), narrow: "keep" },
      { title: "level", value: ({ severity }) => severity, narrow: "keep" },
      { title: "service", value: ({ serviceName }) => serviceName, narrow: "cut" },
      { title: "pattern", value: ({ pattern }) => pattern, narrow: "cut", least: 32 },
      { title: "last seen", value: ({ lastSeen }) => lastSeen && formatTime(new Date(lastSeen)), narrow: "drop" },
    ],
    "Nothing matches.",
    (rows) => ({ startDate: start.toISOString(), endDate: end.toISOString(), rows }),
  );
  const most =
    answer.patterns.length === limit ? ` There may be more than these ${limit}; --limit shows up to 100.` : "";
  session.remark(`From ${formatSearched(session, window)}.${most}`);
}
