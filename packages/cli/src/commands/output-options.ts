import type { Command } from "commander";
import { InvalidArgument } from "../invalid-argument.ts";
import type { FieldSelection } from "../output/fields.ts";
import { mostSimilar } from "../similar.ts";
import { mayRepeat } from "./repeatable.ts";

export interface KnownFields {
  /** Members of a row, in the order of the CSV columns; nested members have dotted names. */
  readonly fields: readonly string[];
  /** Members that CSV includes only on request. */
  readonly more?: readonly string[];
  /** Objects with arbitrary members: `attributes`. */
  readonly open?: readonly string[];
}

/** Adds the output options of commands that print rows. */
export function addOutputOptions(command: Command, known: KnownFields): Command {
  const { fields, more = [] } = known;
  const everyone: FieldSelection = { all: fields };
  return command
    .option("--ndjson", "print each row as one line of JSON")
    .option("--csv", "print CSV (RFC 4180)")
    .addOption(
      command
        .createOption("--fields <names>", `only these, comma-separated: ${[...fields, ...more].join(", ")}`)
        .default(everyone, "all")
        .argParser(
          mayRepeat(
            (text: string, { chosen = [] }: FieldSelection): FieldSelection => ({
              all: fields,
              chosen: [...chosen, ...readFields(text, known)],
            }),
          ),
        ),
    );
}

function readFields(text: string, known: KnownFields): readonly string[] {
  const names = text.split(",").map((name) => name.trim());
  for (const name of names) if (!isKnown(name, known)) throw new InvalidArgument(explain(name, known));
  return names;
}

function isKnown(name: string, { fields, more = [], open = [] }: KnownFields): boolean {
  const all = [...fields, ...more];
  if (all.includes(name) || all.some((field) => field.startsWith(`${name}.`))) return true;
  return open.some((object) => name.startsWith(`${object}.`) && name.length > object.length + 1);
}

function explain(name: string, { fields, more = [], open = [] }: KnownFields): string {
  if (name === "") return "A name is missing between the commas.";
  const meant = mostSimilar(name, [...fields, ...more]);
  const suggestion = meant ? ` Did you mean ${meant}?` : "";
  const [object] = open;
  const attribute = object ? ` An attribute of that name is ${object}.${name}.` : "";
  return `There is no field ${JSON.stringify(name)}.${suggestion}${attribute || ` There are: ${fields.join(", ")}.`}`;
}
