import type { Level, LogEntry, SazabiAdmin, TailedLog, TailGap } from "@sazabi/sdk";
import { entryPrinter, type ShownEntry } from "../output/log-lines.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { formatTime } from "../times.ts";
import { findProjectId, formatProject } from "./project-option.ts";
import { readWindow } from "./window.ts";

export interface TailOptions {
  readonly since?: string;
  readonly limit?: number;
  readonly project?: string;
}

/** The members that a query's entries have. Attribute values are strings. */
type FollowedEntry = ShownEntry & Omit<LogEntry, "projectId">;

/**
 * Prints entries as they are committed, until Ctrl-C or the limit. Each entry is printed once. Entries of `--since` are
 * queried once the service has returned the start position of the tail.
 */
export async function tail(session: Session, query: string, options: TailOptions): Promise<void> {
  const { from } = options.since === undefined ? {} : readWindow(session, { since: options.since });
  const admin = await session.admin();
  const projectId = await findProjectId(session, admin, options.project);
  const printer = entryPrinter(session, (await session.palettes()).out);
  if (printer.head) session.write(printer.head);
  const begin = from === undefined ? "from now on" : `since ${formatTime(new Date(from))}, and from now on`;
  // Called when the service has accepted the request.
  const onPosition = () =>
    session.remark(`Following what is stored ${begin}${formatProject(session)}; Ctrl-C ends it.`);
  const entries =
    from === undefined
      ? follow(session, admin, { projectId, query }, { onPosition })
      : followSince(session, admin, { projectId, query }, { from, onPosition });
  let left = options.limit ?? Number.POSITIVE_INFINITY;
  for await (const entry of entries) {
    session.write(printer.print(entry));
    await session.drained();
    left -= 1;
    if (left <= 0) return;
  }
}

interface Followed {
  readonly projectId: string | undefined;
  readonly query: string;
}

async function* follow(
  session: Session,
  admin: SazabiAdmin,
  { projectId, query }: Followed,
  more: { readonly signal?: AbortSignal; readonly onPosition?: (cursor: string) => void } = {},
): AsyncGenerator<FollowedEntry> {
  const request = { projectId, ...(query.trim() === "" ? {} : { query }) };
  const options = { signal: session.context.signal, onGap: (gap: TailGap) => sayGap(session, gap), ...more };
  for await (const log of admin.logs.tail(request, options)) yield entryOf(log);
}

/** Yields the entries since `from` that were committed before the tail starts, then the tail. */
async function* followSince(
  session: Session,
  admin: SazabiAdmin,
  followed: Followed,
  { from, onPosition }: { readonly from: string; readonly onPosition: () => void },
): AsyncGenerator<FollowedEntry> {
  let begin: (cursor: string) => void = () => {};
  const beginning = new Promise<string>((resolve) => {
    begin = resolve;
  });
  // Closes the tail's connection if the caller stops during the earlier entries.
  const leaving = new AbortController();
  const signal = AbortSignal.any([session.context.signal, leaving.signal]);
  const live = follow(session, admin, followed, {
    signal,
    onPosition: (cursor) => {
      onPosition();
      begin(cursor);
    },
  });
  const first = live.next();
  first.catch(() => {});
  try {
    yield* joined();
  } finally {
    leaving.abort();
  }

  async function* joined(): AsyncGenerator<FollowedEntry> {
    // Rejects if the service refuses the tail.
    const cursor = await Promise.race([beginning, first.then(() => beginning)]);
    const seen = new Set<string>();
    for await (const entry of earlier(session, admin, followed, from)) {
      // The tail yields entries committed after its start again.
      if (BigInt(entry.id) > BigInt(cursor)) seen.add(entry.id);
      yield entry;
    }
    for (let next = await first; !next.done; next = await live.next()) {
      if (!seen.delete(next.value.id)) yield next.value;
    }
  }
}

async function* earlier(
  session: Session,
  admin: SazabiAdmin,
  { projectId, query }: Followed,
  from: string,
): AsyncGenerator<FollowedEntry> {
  const request = {
    ...(projectId === undefined ? {} : { projectId }),
    ...(query.trim() === "" ? {} : { search: { query } }),
    filters: [{ field: "timestamp", op: "gte", value: from } as const],
    sort: { field: "timestamp", direction: "asc" } as const,
  };
  for await (const { projectId: _, ...entry } of admin.logs.queryAll(request, { signal: session.context.signal })) {
    yield { ...entry, attributes: asTexts(entry.attributes), resource: asTexts(entry.resource) };
  }
}

const asTexts = (values: LogEntry["attributes"]) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value ?? "")]));

function entryOf({ id, timestamp, severity, body, service, traceId, spanId, attributes, resource }: TailedLog) {
  return {
    id,
    timestamp,
    level: severity.toLowerCase() as Level,
    severity,
    service,
    environment: resource.environment || null,
    message: body,
    body,
    trace_id: traceId || null,
    span_id: spanId || null,
    attributes,
    resource: Object.fromEntries(Object.entries(resource).filter(([, value]) => value !== "")),
  };
}

/** Reports a gap on stderr in every output format, because the output itself does not show it. */
function sayGap(session: Session, { lostAt, resumedAt, attempts }: TailGap): void {
  const [lost, back] = [formatTime(new Date(lostAt)), formatTime(new Date(resumedAt))];
  const tries = attempts === 1 ? "1 try" : `${attempts} tries`;
  session.say(visible(`The connection was lost at ${lost} and is back since ${back} (${tries}). Nothing is missing.`));
}
