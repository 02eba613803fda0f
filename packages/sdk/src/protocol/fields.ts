/** A field every entry has a place for, or an attribute by its dotted key. */
export type FieldReference = { readonly column: Column } | { readonly attribute: string };

export const columns = ["message", "service", "environment", "trace_id", "span_id"] as const;

export type Column = (typeof columns)[number];

/**
 * The names a field answers to, in queries, in filters and in an entry that is sent (`normaliseEntry` knows some
 * more there), without case. Any other name is an attribute.
 */
export const fieldAliases = {
  level: [
    "level",
    "severity",
    "lvl",
    "loglevel",
    "log_level",
    "log.level",
    "severity_text",
    "severitytext",
    "levelname",
  ],
  message: ["message", "msg", "body"],
  service: ["service", "service.name", "service_name", "servicename"],
  environment: [
    "environment",
    "env",
    "deployment.environment",
    "deployment.environment.name",
    "deployment_environment",
  ],
  trace_id: ["trace_id", "traceid", "trace.id", "dd.trace_id"],
  span_id: ["span_id", "spanid", "span.id", "dd.span_id"],
} as const satisfies Readonly<Record<Column | "level", readonly string[]>>;

const fieldsByName = new Map<string, Column | "level">(
  Object.entries(fieldAliases).flatMap(([field, names]) =>
    names.map((name) => [name, field as Column | "level"] as const),
  ),
);

/** The built-in field of that name, or undefined: then it is an attribute. */
export function builtInField(name: string): Column | "level" | undefined {
  return fieldsByName.get(name.toLowerCase());
}

/**
 * The field that a filter or a query names: `service`, `http.status`, `attributes.http.status`,
 * `attributes[http.status]`. The last two are attributes also when the key is the name of a built-in field.
 */
export function resolveField(name: string): FieldReference | "level" {
  const attribute = /^attributes(?:\.(.+)|\[(.+)\])$/s.exec(name);
  if (attribute) return { attribute: (attribute[1] ?? attribute[2]) as string };
  const field = builtInField(name);
  if (field === undefined) return { attribute: name };
  return field === "level" ? "level" : { column: field };
}

/** A trace or span id as it is stored and searched: hexadecimal ones in lower case, others as they are. */
export function canonicalId(id: string): string {
  const lower = id.toLowerCase();
  return lower !== id && /^[0-9a-f-]+$/.test(lower) ? lower : id;
}
