import { exits } from "../errors.ts";
import type { Block } from "./block.ts";
import { emptyVariables, environment } from "./environment.ts";

export const environmentText: readonly Block[] = [
  "Options take precedence over variables, and variables over the profile. `sazabi auth status` says where the key comes from.",
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
    ["--json", "one JSON value; `logs query` and `logs tail` print one object per line"],
    ["--ndjson", "each row as one line of JSON"],
    ["--csv", "a line of field names, then the rows, by RFC 4180"],
    [
      "--fields a,b",
      "only these fields, in this order; also a member (actor.name) or an attribute (attributes.status)",
    ],
    ["--quiet", "nothing but the result and errors"],
    ["--no-pager", "do not page long output"],
    ["--color <when>", "always, never or auto; then FORCE_COLOR, NO_COLOR, CLICOLOR_FORCE, CLICOLOR and TERM apply"],
  ],
  "The default is text: a table that fits the terminal, or lines. Without a terminal, nothing is cut, coloured or paged.",
  "If a list is incomplete, a message on stderr says so, in every format. Control characters in logs and names are escaped; JSON preserves the exact value.",
];

/** The left side of each row is a valid query. */
export const queryLanguageText: readonly Block[] = [
  "All words must occur in the message or, if it is empty, in the attributes; case is ignored. Invalid syntax is searched as text, and marked on stderr.",
  [
    ["timeout", "the message contains it"],
    ['"connection refused"', "the exact phrase"],
    ["time*out", "* is any run of characters, ? is one"],
    ["/time(out|r)/", "a regular expression"],
    ["level:error", "entries of this level"],
    ["level:>=warn", "this level and more severe ones; also > < <="],
    ["service:checkout", "a field or an attribute with this value"],
    ["tags:prod", "also matches a list that contains the value"],
    ["http.status:>=500", "an attribute that is a number in this range"],
    ["took:>100ms", "an attribute that is a longer duration, such as 1.2s; also sizes such as 5KB"],
    ["size:[10 TO 20]", "a range including its ends; {10 TO 20} excludes them"],
    ["region:(eu OR ap*)", "one of several values"],
    ["user:*", "entries that have the attribute"],
    ['@"weird key":1', "an attribute with spaces or colons in its name"],
    ["-debug", "entries without it; also NOT debug. In the shell, words that begin with - go after --"],
    ["a OR b", "at least one; AND binds tighter, parentheses group"],
  ],
  "Fields are message, level, service, environment, trace_id and span_id; every other name is an attribute, with dots for nested members. In a shell, put the query in single quotes.",
];
