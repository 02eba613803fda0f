/**
 * SQL text with its parameters, as node-postgres accepts it. Its fields are plain, since node-postgres
 * clones query objects through their prototype, which private fields do not survive.
 */
export class Sql {
  readonly text: string;
  readonly values: readonly unknown[];
  /** If set, the server plans the statement once per connection. */
  readonly name: string | undefined;

  constructor(text: string, values: readonly unknown[], name?: string) {
    this.text = text;
    this.values = values;
    this.name = name;
  }
}

/**
 * Builds a statement. `${value}` is always a parameter, never text; a nested `sql` fragment is
 * inserted with its own parameters.
 */
export function sql(strings: TemplateStringsArray, ...parts: readonly unknown[]): Sql {
  const values: unknown[] = [];
  let text = strings[0] as string;
  for (const [index, part] of parts.entries()) {
    text += part instanceof Sql ? splice(part, values) : `$${values.push(part)}`;
    text += strings[index + 1];
  }
  return new Sql(text, values);
}

/** Names a frequent statement, so that it is planned once per connection. Each name must have one text. */
export function prepared(name: string, { text, values }: Sql): Sql {
  return new Sql(text, values, name);
}

/** Joins fragments: `join(conditions, " and ")`. The separator must be trusted text. */
export function join(fragments: readonly Sql[], separator: string): Sql {
  const values: unknown[] = [];
  const text = fragments.map((fragment) => splice(fragment, values)).join(separator);
  return new Sql(text, values);
}

/** Wraps trusted SQL text without values: a table name or a keyword. */
export function raw(text: string): Sql {
  return new Sql(text, []);
}

function splice(fragment: Sql, values: unknown[]): string {
  const offset = values.length;
  values.push(...fragment.values);
  return fragment.text.replace(/\$(\d+)/g, (_, place: string) => `$${Number(place) + offset}`);
}
