import { exits } from "../errors.ts";
import type { Block } from "./block.ts";
import { emptyVariables, environment } from "./environment.ts";

export const environmentText: readonly Block[] = [
  "An option goes before a variable, and a variable before what the profile keeps. `sazabi auth status` says where the key comes from.",
  environment.map(({ names, means }) => [names.join(", "), means] as const),
  emptyVariables,
];

export const exitCodesText: readonly Block[] = [
  Object.values(exits).map(({ code, means }) => [String(code), means] as const),
  "With --json and --ndjson the error on stderr is one JSON object, and has the code as `exitCode`. `logs query` exits 1 with --fail-on-empty when nothing matches, and with --fail-on-match when something does.",
];

export const outputText: readonly Block[] = [
  "Results go to stdout; notices, questions, progress and errors go to stderr. `KEY=$(sazabi keys create ci)` holds the key and nothing else.",
  [
    ["--json", "one JSON value; of `logs query` and `logs tail` one object a line"],
    ["--ndjson", "each row as one line of JSON"],
    ["--csv", "a line of field names, then the rows, by RFC 4180"],
    [
      "--fields a,b",
      "only these fields, in this order; also a member (actor.name) or an attribute (attributes.status)",
    ],
    ["--quiet", "nothing but the result and errors"],
    ["--no-pager", "long output as it is, also at a terminal"],
    [
      "--color <when>",
      "always, never or auto; then FORCE_COLOR, NO_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM are asked",
    ],
  ],
  "Without these, text for people: a table that fits the terminal, or lines. Off a terminal nothing is cut, coloured or paged.",
  "A list that is cut says so on stderr, in every form. Text from elsewhere that would drive the terminal is shown instead; in JSON it arrives to the byte.",
];

/** The left side of each row is a valid query. */
export const queryLanguageText: readonly Block[] = [
  "Words that stand side by side must all be found, in the message or, where it is empty, in the attributes, in any case. What is not understood is looked for as text, and marked on stderr.",
  [
    ["timeout", "the message contains it"],
    ['"connection refused"', "exactly that"],
    ["time*out", "* is any run of characters, ? is one"],
    ["/time(out|r)/", "a regular expression"],
    ["level:error", "of that level"],
    ["level:>=warn", "of that level and worse; also > < <="],
    ["service:checkout", "a field or an attribute that has this value"],
    ["tags:prod", "a list with that in it, too"],
    ["http.status:>=500", "an attribute that is such a number"],
    ["took:>100ms", "an attribute that is a longer duration, such as 1.2s; sizes such as 5KB likewise"],
    ["size:[10 TO 20]", "in a range, ends included; {10 TO 20} without the ends"],
    ["region:(eu OR ap*)", "one of several values"],
    ["user:*", "that have one at all"],
    ['@"weird key":1', "an attribute with spaces or colons in its name"],
    ["-debug", "without it; also NOT debug. In the shell, words that begin with - go after --"],
    ["a OR b", "at least one; AND binds tighter, parentheses group"],
  ],
  "Fields are message, level, service, environment, trace_id and span_id; every other name is an attribute, with dots for what is nested. In the shell a query stands in single quotes.",
];
