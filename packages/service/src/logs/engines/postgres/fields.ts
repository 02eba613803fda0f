import type { Database } from "../../../db/database.ts";
import { sql } from "../../../db/sql.ts";
import { gatherFields, maxNames, sampledEntries } from "../../fields.ts";
import type { LogFields, LogScope } from "../../log-store.ts";
import { compileQuery } from "./compile.ts";
import { within } from "./reader.ts";

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
  return gatherFields(rows);
}
