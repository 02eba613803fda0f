import { type Level, levels } from "@sazabi/sdk";
import { Option } from "commander";
import type { AddCommands } from "./groups.ts";
import { addOutputOptions } from "./output-options.ts";
import { parseLimit } from "./paging.ts";
import { addWindowOptions } from "./window.ts";

export const addLogs: AddCommands = (logs, { open }) => {
  const query = addOutputOptions(
    addWindowOptions(logs.command("query").description("find log entries, newest first")),
    {
      fields: [
        "timestamp",
        "level",
        "service",
        "message",
        "id",
        "projectId",
        "environment",
        "trace_id",
        "span_id",
        "attributes",
      ],
      more: ["severity", "body", "resource"],
      open: ["attributes", "resource"],
    },
  )
    .argument("[query...]", 'words, "phrases", field:value, -not, OR; nothing finds everything')
    .option("--limit <n>", "print at most this many", parseLimit, 100)
    .option("--all", "print all that match")
    .option("--oldest-first", "start with the oldest")
    .option("--project <project>", "only this project, by id or name")
    .option("--fail-on-empty", "exit 1 when nothing matches")
    .option("--fail-on-match", "exit 1 when something matches")
    .addHelpText(
      "after",
      `
Without --since or --from the last 24 hours are searched. A time without a zone is local.
With --json, as with --ndjson, each entry is one line.

  sazabi logs query "level:error"
  sazabi logs query "level:error service:checkout -timeout" --since 2h
  sazabi logs query status:500 --csv --fields timestamp,message,attributes.http.path
  sazabi logs query level:fatal --since 5m --fail-on-match --quiet
  sazabi logs query -- -debug error       words that begin with - go after --`,
    )
    .action(async (words: string[], options) =>
      (await import("./logs-query.ts")).query(open(), words.join(" "), options),
    );
  const parse = query.parseOptions.bind(query);
  query.parseOptions = (args) => parse(queriesLast(args));

  logs
    .command("send")
    .description("send a file, or stdin, as log entries")
    .argument("[file]", "NDJSON or plain lines, gzip too; - or nothing is stdin")
    .option("--service <name>", "service of entries that name none (default: the file's name)")
    .addOption(
      new Option("--level <level>", "level of entries that have none (default: guessed)").choices(
        levels as readonly Level[],
      ),
    )
    .option("--line-times", "take the time that a plain line begins with; otherwise it is the time of sending")
    .option("--public-key <key>", "send with this public key; - reads it from stdin (default: SAZABI_PUBLIC_KEY)")
    .option("--project <project>", "the project, by id or name, when a secret key is used")
    .addHelpText(
      "after",
      `
Without a public key, your secret key is used to get the project's own key for this.

  sazabi logs send /var/log/dpkg.log
  journalctl -o json | sazabi logs send --service journal`,
    )
    .action(async (file: string | undefined, options) => (await import("./logs-send.ts")).send(open(), file, options));
};

/** An argument with a space in it is no option, even when it begins with `-`: `logs query "-debug error"`. */
function queriesLast(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  const isQuery = (arg: string) => arg.startsWith("-") && /\s/.test(arg);
  const queries = options.filter(isQuery);
  if (queries.length === 0) return [...args];
  return [...options.filter((arg) => !isQuery(arg)), "--", ...queries, ...(end < 0 ? [] : args.slice(end + 1))];
}
