import { levels } from "@sazabi/sdk/protocol";
import type { Database, Queryable } from "../../../db/database.ts";
import { prepared, type Sql, sql } from "../../../db/sql.ts";
import type { FoundPattern, LogBatch, PatternRequest } from "../../log-store.ts";
import { mergeTemplates } from "../../patterns/merge.ts";
import { anything, type MinedPattern, PatternMiners } from "../../patterns/miner.ts";
import { compileQuery } from "./compile.ts";
import { within } from "./reader.ts";

const templatesRemembered = 100_000;
const dayMs = 86_400_000;

/** Finds the pattern of each entry that is stored, and keeps the templates beside them. */
export class StoredPatterns {
  readonly #miners = new PatternMiners();
  /** Templates that were committed today. */
  readonly #known = new Set<string>();
  #day = 0;

  /** The patterns of the entries, in their order, and those among them that the database may not have yet. */
  mine(batches: readonly LogBatch[]): { readonly ids: readonly number[]; readonly fresh: readonly FreshTemplate[] } {
    this.#forget(Math.floor(Date.now() / dayMs));
    const ids: number[] = [];
    const fresh = new Map<string, FreshTemplate>();
    for (const { projectNumber, entries } of batches) {
      const miner = this.#miners.of(projectNumber);
      const met = new Set<MinedPattern>();
      for (const { message } of entries) {
        const pattern = miner.patternOf(message);
        ids.push(pattern.id);
        if (met.has(pattern)) continue;
        met.add(pattern);
        const name = patternKey(projectNumber, pattern.id);
        if (!this.#known.has(name)) fresh.set(name, { projectNumber, ...pattern });
      }
    }
    return { ids, fresh: [...fresh.values()] };
  }

  /** Call when the transaction that stored them is committed. */
  remember(fresh: readonly FreshTemplate[]): void {
    for (const { projectNumber, id } of fresh) this.#known.add(patternKey(projectNumber, id));
  }

  /** Each template is noted once a day when it occurs, so that those that do not occur any more can be deleted. */
  #forget(day: number): void {
    if (day === this.#day && this.#known.size < templatesRemembered) return;
    this.#day = day;
    this.#known.clear();
  }
}

export interface FreshTemplate extends MinedPattern {
  readonly projectNumber: number;
}

export async function insertTemplates(tx: Queryable, fresh: readonly FreshTemplate[]): Promise<void> {
  if (fresh.length > 0) await tx.query(templatesNoted(fresh));
}

/** Notes templates, each of them once; for the transaction that stores rows of theirs. */
export function templatesNoted(fresh: readonly FreshTemplate[]): Sql {
  // In one order everywhere, so that two replicas cannot wait for each other.
  const sorted = [...fresh].sort((a, b) => a.projectNumber - b.projectNumber || a.id - b.id);
  return prepared(
    "insert log patterns",
    sql`
      insert into log_patterns as p (project_number, pattern_id, template)
      select * from unnest(
        ${sorted.map(({ projectNumber }) => projectNumber)}::int[],
        ${sorted.map(({ id }) => id)}::int[],
        ${sorted.map(({ template }) => template)}::text[])
      on conflict (project_number, pattern_id) do update set seen_on = excluded.seen_on
      where p.seen_on < excluded.seen_on`,
  );
}

/** The templates of several batches, each of them once. */
export function distinctTemplates(fresh: readonly FreshTemplate[]): readonly FreshTemplate[] {
  return [...new Map(fresh.map((template) => [patternKey(template.projectNumber, template.id), template])).values()];
}

/** A template that nobody met for as long as logs are kept stands for no entry any more. */
export async function deleteOldTemplates(db: Queryable, retentionDays: number): Promise<void> {
  await db.query(sql`delete from log_patterns where seen_on < current_date - ${retentionDays + 2}::int`);
}

export const countsAtMost = 50_000;
/** Templates are compared with each other to merge them; of more, only the most frequent are told apart. */
const templatesMerged = 5_000;

/** How many entries of one stored pattern, service and level there are. */
export interface PatternCount {
  project_number: number;
  pattern_id: number;
  service: string;
  level: number;
  entries: string;
  first: string;
  newest: [micros: string, id: string];
}

/** Every entry of the scope counted once, by what its template has become, its service and its level; most first. */
export async function countPatterns(db: Database, request: PatternRequest): Promise<readonly FoundPattern[]> {
  const { rows } = await db.query<PatternCount>(
    sql`
      select project_number, coalesce(pattern_id, ${anything.id}::int) as pattern_id, service, level,
             count(*)::text as entries, (extract(epoch from min(ts)) * 1000000)::bigint::text as first,
             max(array[(extract(epoch from ts) * 1000000)::bigint, id])::text[] as newest
      from logs
      where project_number = any(${request.projectNumbers}::int[]) and ${within(request)}
        and (${compileQuery(request.query)})
      group by 1, 2, 3, 4
      order by count(*) desc
      limit ${countsAtMost}`,
    request,
  );
  return gatherPatterns(db, rows, request.limit);
}

/** The counts by what their templates have become; most first. */
export async function gatherPatterns(
  db: Database,
  rows: readonly PatternCount[],
  limit: number,
): Promise<readonly FoundPattern[]> {
  const templates = await readTemplates(db, rows);
  const found = new Map<string, FoundPattern>();
  for (const row of rows) {
    const pattern = templates.get(patternKey(row.project_number, row.pattern_id)) ?? anything;
    const name = `${patternKey(row.project_number, pattern.id)} ${row.level} ${row.service}`;
    found.set(name, joined(found.get(name), toPattern(row, pattern)));
  }
  return [...found.values()]
    .sort((a, b) => b.entries - a.entries || a.patternId - b.patternId || a.level.localeCompare(b.level))
    .slice(0, limit);
}

async function readTemplates(db: Database, rows: readonly PatternCount[]): Promise<ReadonlyMap<string, MinedPattern>> {
  const entries = new Map<string, number>();
  for (const { project_number, pattern_id, entries: count } of rows) {
    const name = patternKey(project_number, pattern_id);
    entries.set(name, (entries.get(name) ?? 0) + Number(count));
  }
  const frequent = [...entries].sort(([, a], [, b]) => b - a).slice(0, templatesMerged);
  const wanted = frequent.map(([name]) => name.split(" ").map(Number) as [number, number]);
  const { rows: known } = await db.query<{ project_number: number; pattern_id: number; template: string }>(sql`
    select project_number, pattern_id, template from log_patterns
    join unnest(${wanted.map(([project]) => project)}::int[], ${wanted.map(([, id]) => id)}::int[])
      as w(project_number, pattern_id) using (project_number, pattern_id)`);
  const merged = new Map<string, MinedPattern>();
  for (const projectNumber of new Set(known.map((row) => row.project_number))) {
    const templates = known
      .filter((row) => row.project_number === projectNumber)
      .map(({ pattern_id: id, template }) => ({
        id,
        template,
        entries: entries.get(patternKey(projectNumber, id)) ?? 0,
      }));
    for (const [id, pattern] of mergeTemplates(templates)) merged.set(patternKey(projectNumber, id), pattern);
  }
  return merged;
}

function toPattern(row: PatternCount, { id, template }: MinedPattern): FoundPattern {
  const [micros, newestId] = row.newest;
  return {
    projectNumber: row.project_number,
    patternId: id,
    template,
    service: row.service,
    level: levels[row.level] ?? "info",
    entries: Number(row.entries),
    firstMicros: Number(row.first),
    lastMicros: Number(micros),
    representative: { micros: Number(micros), projectNumber: row.project_number, id: newestId },
  };
}

function joined(a: FoundPattern | undefined, b: FoundPattern): FoundPattern {
  if (!a) return b;
  const newer = b.lastMicros > a.lastMicros ? b : a;
  return {
    ...newer,
    entries: a.entries + b.entries,
    firstMicros: Math.min(a.firstMicros, b.firstMicros),
  };
}

function patternKey(projectNumber: number, id: number): string {
  return `${projectNumber} ${id}`;
}
