import { queryDatabase } from "./index.ts";

/** Everything in the schema `sazabi`, one line for each part of it, as PostgreSQL 15 and later print it alike. */
export async function dumpSchema(databaseUrl: string): Promise<string> {
  const parts = await Promise.all(
    statements.map(async (statement) => {
      const { rows } = await queryDatabase(databaseUrl, statement);
      return rows.map(({ line }) => line as string).join("\n");
    }),
  );
  return `${parts.join("\n\n")}\n`;
}

const statements = [
  `select format('table %s: %s %s%s%s%s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod),
     case when a.attcollation <> t.typcollation then ' collate ' || (select collname from pg_collation where oid = a.attcollation) end,
     case when a.attnotnull then ' not null' end,
     case when a.attidentity <> '' then ' generated as identity' else ' default ' || pg_get_expr(d.adbin, d.adrelid) end) as line
   from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
   join pg_type t on t.oid = a.atttypid
   left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
   where c.relnamespace = 'sazabi'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
   order by c.relname, a.attnum`,
  `select format('options of %s: %s', relname, reloptions) as line from pg_class
   where relnamespace = 'sazabi'::regnamespace and reloptions is not null order by relname`,
  // PostgreSQL 18 also lists "not null" as a constraint.
  `select format('constraint %s of %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid)) as line
   from pg_constraint where connamespace = 'sazabi'::regnamespace and contype <> 'n' order by conrelid::regclass::text, conname`,
  `select indexdef as line from pg_indexes where schemaname = 'sazabi' order by tablename, indexname`,
  `select format('view %s: %s', viewname, definition) as line from pg_views where schemaname = 'sazabi' order by viewname`,
  `select pg_get_functiondef(oid) as line from pg_proc where pronamespace = 'sazabi'::regnamespace order by proname`,
  `select pg_get_triggerdef(oid) as line from pg_trigger where not tgisinternal order by tgrelid::regclass::text, tgname`,
];
