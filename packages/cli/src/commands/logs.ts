import { type Level, levels, type VolumeInterval } from "@sazabi/sdk";
import type { Command } from "commander";
import { InvalidArgument } from "../invalid-argument.ts";
import type { AddCommands } from "./command.ts";
import { addOutputOptions } from "./output-options.ts";
import { parseLimit } from "./paging.ts";
import { addWindowOptions } from "./window-options.ts";

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
    .option("--context <n>", "print this many entries before and after each hit, up to 100, oldest first", parseContext)
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
  sazabi logs query level:fatal --context 5
  sazabi logs query level:fatal --since 5m --fail-on-match --quiet
  sazabi logs query -- -debug error       words that begin with - go after --`,
    )
    .action(async (words: string[], options) =>
      (await import("./logs-query.ts")).query(open(), words.join(" "), options),
    );
  takeQueries(query);

  const tail = addOutputOptions(logs.command("tail").description("stream new log entries"), {
    fields: ["timestamp", "level", "service", "message", "id", "environment", "trace_id", "span_id", "attributes"],
    more: ["severity", "body", "resource"],
    open: ["attributes", "resource"],
  })
    .argument("[query...]", "as in logs query; nothing follows everything")
    .option("--since <time>", "begin with the entries since this long ago (30m, 1h)")
    .option("--limit <n>", "end after this many", parseLimit)
    .option("--project <project>", "the project, by id or name")
    .addHelpText(
      "after",
      `
Each entry is printed once, in the order of storage. After a lost connection the command
reconnects without a gap, and says so on stderr. Ctrl-C ends it.

  sazabi logs tail level:error
  sazabi logs tail "service:checkout" --since 10m
  sazabi logs tail --json | jq -r .message`,
    )
    .action(async (words: string[], options) =>
      (await import("./logs-tail.ts")).tail(open(), words.join(" "), options),
    );
  takeQueries(tail);

  const volume = addOutputOptions(
    addWindowOptions(logs.command("volume").description("count log entries by time, as bars")),
    { fields: ["bucket", "group", "count"] },
  )
    .argument("[query...]", "as in logs query; nothing counts everything")
    .addOption(logs.createOption("--interval <time>", "the interval (default: fits the screen)").choices(intervals))
    .addOption(
      logs.createOption("--by <field>", "one bar per value of this field").choices(["level", "service", "environment"]),
    )
    .option("--project <project>", "only this project, by id or name")
    .addHelpText(
      "after",
      `
Without --since or --from the last 24 hours are counted. With --by each bar covers the whole
time; --csv and --json have both. Intervals of 6h and 1d are parts of UTC days, and are labelled
in UTC.

  sazabi logs volume level:error --since 7d
  sazabi logs volume --by service
  sazabi logs volume --by level --interval 1h --csv`,
    )
    .action(async (words: string[], options) =>
      (await import("./logs-volume.ts")).volume(open(), words.join(" "), options),
    );
  takeQueries(volume);

  const patterns = addOutputOptions(
    addWindowOptions(logs.command("patterns").description("group similar messages, most frequent first")),
    {
      fields: [
        "occurrences",
        "severity",
        "serviceName",
        "pattern",
        "firstSeen",
        "lastSeen",
        "fingerprint",
        "representativeId",
      ],
    },
  )
    .argument("[query...]", "as in logs query; nothing takes everything")
    .option("--limit <n>", "print at most this many, up to 100", parseLimit, 25)
    .option("--project <project>", "only this project, by id or name")
    .addHelpText(
      "after",
      `
Messages are grouped when they are stored, so the counts are exact. <*> marks variable parts.
Without --since or --from, the last 24 hours are searched.

  sazabi logs patterns
  sazabi logs patterns level:error --since 7d --limit 10
  sazabi logs patterns --csv --fields occurrences,pattern`,
    )
    .action(async (words: string[], options) =>
      (await import("./logs-patterns.ts")).patterns(open(), words.join(" "), options),
    );
  takeQueries(patterns);

  logs
    .command("send")
    .description("send a file, or stdin, as log entries")
    .aliases(["forward"])
    .argument("[file]", "NDJSON, JSON or plain lines, gzip too; - or nothing is stdin")
    .option("--service <name>", "the service of entries without one (default: the file's name)")
    .addOption(
      logs
        .createOption("--level <level>", "the level of entries without one (default: guessed)")
        .choices(levels as readonly Level[]),
    )
    .option("--follow", "also send what is appended to the file, across rotation and truncation, until Ctrl-C")
    .option("--from-start", "with --follow: from the beginning of the file, not from where the last run ended")
    .addOption(
      logs
        .createOption(
          "--multiline <mode>",
          "join stack traces and multi-line JSON into one entry (auto: only for files)",
        )
        .choices(["auto", "on", "off"])
        .default("auto"),
    )
    .option(
      "--line-times",
      "parse the time at the start of a plain line (local without a zone); the default is the time of sending",
    )
    .option("--public-key <key>", "send with this public key; - reads it from stdin (default: SAZABI_PUBLIC_KEY)")
    .option("--project <project>", "the project, by id or name, when a secret key is used")
    .addHelpText(
      "after",
      `
Without a public key, your secret key is used to get the project's own key for this.

  sazabi logs send /var/log/dpkg.log
  sazabi logs send --follow /var/log/app.log
  journalctl -o json | sazabi logs send --service journal`,
    )
    .action(async (file: string | undefined, options) => (await import("./logs-send.ts")).send(open(), file, options));
};

/** Copied from the service, because importing its list would load the SDK. */
const intervals: readonly VolumeInterval[] = ["1s", "10s", "1m", "5m", "15m", "1h", "6h", "1d"];

function takeQueries(command: Command): void {
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (args) => parse(queriesLast(args));
}

function parseContext(text: string): number {
  const lines = Number(text);
  if (!Number.isInteger(lines) || lines < 0 || lines > 100) throw new InvalidArgument("Use a whole number, 0 to 100.");
  return lines;
}

/** Moves an argument that contains a space behind `--`, even if it begins with `-`: `logs query "-debug error"`. */
function queriesLast(args: readonly string[]): string[] {
  const end = args.indexOf("--");
  const options = end < 0 ? args : args.slice(0, end);
  const isQuery = (arg: string) => arg.startsWith("-") && /\s/.test(arg);
  const queries = options.filter(isQuery);
  if (queries.length === 0) return [...args];
  return [...options.filter((arg) => !isQuery(arg)), "--", ...queries, ...(end < 0 ? [] : args.slice(end + 1))];
}
