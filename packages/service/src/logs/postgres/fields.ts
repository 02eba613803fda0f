import type { Database } from "../../store/database.ts";
import { sql } from "../../store/sql.ts";
import type { LogFields, LogScope } from "../store.ts";
import { compileQuery } from "./compile.ts";
import { within } from "./reader.ts";

const sampledEntries = 1_000;
const maxNames = 20_000;

export async function listFields(db: Database, scope: LogScope): Promise<LogFields> {
  const { rows } = await db.query<{ service: string; key: string | null; entries: string }>(
    sql`
      with sample as (
        select l.service, l.attributes
        from unnest(${scope.projectNumbers}::int[]) as p(number)
        cross join lateral (
          select ts, service, attributes from logs
          where project_number = p.number and ${within(scope)} and (${compileQuery(scope.query)})
          order by ts desc, id desc limit ${sampledEntries}
        ) l
        order by l.ts desc limit ${sampledEntries}
      )
      (select service, null as key, count(*) as entries from sample group by service)
      union all
      (select service, key, count(*) as entries from sample cross join jsonb_object_keys(attributes) as key
       group by service, key order by entries desc limit ${maxNames})`,
    scope,
  );
  const services = rows
    .filter(({ key }) => key === null)
    .map((row) => ({ service: row.service, entries: Number(row.entries) }));
  const attributes = new Map<string, { key: string; services: string[]; entries: number }>();
  for (const { service, key, entries } of rows) {
    if (key === null) continue;
    const known = attributes.get(key) ?? { key, services: [], entries: 0 };
    attributes.set(key, known);
    if (service !== "") known.services.push(service);
    known.entries += Number(entries);
  }
  return {
    services: services.filter(({ service }) => service !== "").sort(mostFirst(({ service }) => service)),
    attributes: [...attributes.values()].sort(mostFirst(({ key }) => key)),
  };
}

function mostFirst<T extends { readonly entries: number }>(nameOf: (one: T) => string): (a: T, b: T) => number {
  return (a, b) => b.entries - a.entries || (nameOf(a) < nameOf(b) ? -1 : 1);
}
