/** A value of a statement, with its ClickHouse type. */
interface Parameter {
  readonly type: "String" | "Float64" | "Int64";
  readonly value: string | number;
}

/** ClickHouse SQL with its parameters. */
export class Statement {
  readonly pieces: readonly (string | Parameter)[];

  constructor(pieces: readonly (string | Parameter)[]) {
    this.pieces = pieces;
  }

  /** As ClickHouse takes it: `{p0:String}` in the text, and the values apart. */
  rendered(): { readonly text: string; readonly values: Readonly<Record<string, unknown>> } {
    const values: Record<string, unknown> = {};
    let count = 0;
    const text = this.pieces.map((piece) => {
      if (typeof piece === "string") return piece;
      const name = `p${count++}`;
      values[name] = piece.value;
      return `{${name}:${piece.type}}`;
    });
    return { text: text.join(""), values };
  }
}

/**
 * A statement. `${text}` and `${number}` are always parameters (`String` and `Float64`), never text; so are those made
 * by `int64`. A nested `ch` fragment is spliced in with its own.
 */
export function ch(
  strings: TemplateStringsArray,
  ...parts: readonly (string | number | Parameter | Statement)[]
): Statement {
  const pieces: (string | Parameter)[] = [strings[0] as string];
  for (const [index, part] of parts.entries()) {
    if (part instanceof Statement) pieces.push(...part.pieces);
    else if (typeof part === "string") pieces.push({ type: "String", value: part });
    else if (typeof part === "number") pieces.push({ type: "Float64", value: part });
    else pieces.push(part);
    pieces.push(strings[index + 1] as string);
  }
  return new Statement(pieces);
}

export function int64(value: number | bigint | string): Parameter {
  return { type: "Int64", value: String(value) };
}

/** Fragments one after the other: `joined(conditions, " and ")`. The separator is ours, never a caller's text. */
export function joined(fragments: readonly Statement[], separator: string): Statement {
  return new Statement(fragments.flatMap(({ pieces }, index) => (index === 0 ? pieces : [separator, ...pieces])));
}

/** Text that is already SQL and holds no value: a column of ours, a keyword. */
export function verbatim(text: string): Statement {
  return new Statement([text]);
}
