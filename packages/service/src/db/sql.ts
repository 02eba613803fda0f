/**
 * SQL text with its parameters, as node-postgres takes it. Plain fields: node-postgres clones query objects
 * through their prototype, which private fields do not survive.
 */
export class Sql {
  readonly text: string;
  readonly values: readonly unknown[];
  /** Given, the server plans the statement once for each connection. */
  readonly name: string | undefined;

  constructor(text: string, values: readonly unknown[], name?: string) {
    this.text = text;
    this.values = values;
    this.name = name;
  }
}

/**
 * A statement. `${value}` is always a parameter, never text; a nested `sql` fragment is spliced in with its own
 * parameters.
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

/** A statement that runs often, to be planned once for each connection. One name, one text. */
export function prepared(name: string, { text, values }: Sql): Sql {
  return new Sql(text, values, name);
}

/** Fragments one after the other: `join(conditions, " and ")`. The separator is ours, never a caller's text. */
export function join(fragments: readonly Sql[], separator: string): Sql {
  const values: unknown[] = [];
  const text = fragments.map((fragment) => splice(fragment, values)).join(separator);
  return new Sql(text, values);
}

/** Text that is already SQL and holds no value: a table name of ours, a keyword. */
export function raw(text: string): Sql {
  return new Sql(text, []);
}

function splice(fragment: Sql, values: unknown[]): string {
  const offset = values.length;
  values.push(...fragment.values);
  return fragment.text.replace(/\$(\d+)/g, (_, place: string) => `$${Number(place) + offset}`);
}
