import type { LogFilter, LogQueryRequest, LogQueryResult, QueryWarning } from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import { entryPrinter } from "../output/log-lines.ts";
import { visible } from "../output/visible.ts";
import { widthOf } from "../output/width.ts";
import type { Session } from "../session.ts";
import { printWithContext } from "./logs-context.ts";
import { findProjectId } from "./project-option.ts";
import { formatSearched } from "./whole-window.ts";
import { readWindow, type Window } from "./window.ts";
import type { WindowOptions } from "./window-options.ts";

export interface QueryOptions extends WindowOptions {
  readonly limit: number;
  readonly all?: boolean;
  readonly oldestFirst?: boolean;
  readonly project?: string;
  /** Entries to print before and after each hit. */
  readonly context?: number;
  readonly failOnEmpty?: boolean;
  readonly failOnMatch?: boolean;
}

/** The limit of the service per request. */
const maxPage = 1000;

/** Prints the matching entries as text, NDJSON or CSV. */
export async function query(session: Session, text: string, options: QueryOptions): Promise<void> {
  if (options.failOnEmpty && options.failOnMatch) {
    throw usageError("--fail-on-empty and --fail-on-match exclude each other: one of the two always fails.");
  }
  checkContext(session, options);
  const request = await requestOf(session, text, options);
  let shown = 0;
  await session.paged(async () => {
    shown = await printAll(session, text, request, options);
  });
  if (options.failOnEmpty && shown === 0) throw new CliError("Nothing matches.", { code: "EMPTY" });
  if (options.failOnMatch && shown > 0) throw new CliError("Something matches.", { code: "MATCHED" });
}

/** Each hit needs a request of its own. */
const mostHitsWithContext = 100;

function checkContext(session: Session, { context, all, limit }: QueryOptions): void {
  if (context === undefined) return;
  if (all || limit > mostHitsWithContext) throw usageError(`--context is for at most ${mostHitsWithContext} hits.`);
  if (session.format === "csv" || session.flags.fields?.chosen) {
    throw usageError("--context prints whole entries: --csv and --fields do not go with it.");
  }
}

async function requestOf(session: Session, text: string, options: QueryOptions): Promise<LogQueryRequest> {
  const filters = filtersOf(readWindow(session, options));
  const admin = await session.admin();
  const projectId = await findProjectId(session, admin, options.project);
  return {
    ...(projectId === undefined ? {} : { projectId }),
    ...(text.trim() === "" ? {} : { search: { query: text } }),
    ...(filters.length === 0 ? {} : { filters }),
    ...(options.oldestFirst ? { sort: { field: "timestamp", direction: "asc" as const } } : {}),
    pagination: { limit: Math.min(limitOf(options), maxPage) },
  };
}

const limitOf = ({ all, limit }: QueryOptions) => (all ? Number.POSITIVE_INFINITY : limit);

/** Prints all entries and returns their number. */
async function printAll(
  session: Session,
  text: string,
  request: LogQueryRequest,
  options: QueryOptions,
): Promise<number> {
  const limit = limitOf(options);
  const admin = await session.admin();
  let shown = 0;
  const printer = entryPrinter(session, (await session.palettes()).out);
  if (printer.head) session.write(printer.head);
  for await (const page of admin.logs.queryPages(request, { signal: session.context.signal })) {
    if (shown === 0) warn(session, text, page.meta.warnings);
    const entries = page.data.slice(0, limit - shown);
    // One write per page saves system calls.
    if (options.context === undefined) session.write(entries.map(printer.print).join(""));
    else await printWithContext(session, admin, inTime(entries, options), options.context, printer);
    await session.drained();
    shown += entries.length;
    const more = page.nextCursor !== null || entries.length < page.data.length;
    if (shown < limit && more) continue;
    sayWhatWasShown(session, searchedIn(session, page, options), shown, more);
    break;
  }
  return shown;
}

/** Sorts the entries in ascending order of time. */
const inTime = (entries: LogQueryResult["data"], { oldestFirst }: QueryOptions) =>
  oldestFirst ? entries : entries.toReversed();

function filtersOf({ from, to }: Window): readonly LogFilter[] {
  return [
    ...(from === undefined ? [] : [{ field: "timestamp", op: "gte", value: from } as const]),
    ...(to === undefined ? [] : [{ field: "timestamp", op: "lt", value: to } as const]),
  ];
}

/** Prints a warning for each part of the query that was parsed as plain text, with a marker below it. */
function warn(session: Session, query: string, warnings: readonly QueryWarning[] = []): void {
  // Replaces each character by one character, so that the markers stay aligned.
  const shown = (text: string) =>
    [...text].map((character) => (visible(character) === character ? character : "?")).join("");
  for (const { message, start, end } of warnings) {
    session.say(`warning: ${visible(message)}`);
    session.say(`  ${shown(query)}`);
    const marked = Math.max(1, widthOf(shown(query.slice(start, end))));
    session.say(`  ${" ".repeat(widthOf(shown(query.slice(0, start))))}${"^".repeat(marked)}`);
  }
}

/** Describes the time range and project of the search. */
function searchedIn(session: Session, { meta }: LogQueryResult, { to }: QueryOptions): string {
  return formatSearched(session, { start: new Date(meta.from), end: new Date(meta.to), isOpen: to === undefined });
}

function sayWhatWasShown(session: Session, searched: string, shown: number, more: boolean): void {
  if (more) session.say(`${shown} shown, more match: --limit or --all. Searched ${searched}.`);
  else session.remark(shown === 0 ? `Nothing matches in ${searched}.` : `${shown} shown. Searched ${searched}.`);
}
