import { intakeLimits, levelOfLine, parseLevel } from "@sazabi/sdk/protocol";
import { invalid, tooMany } from "../body.ts";

/** `83 <40>1 2026-11-30T06:45:29+00:00 host app web.3 - text`; RFC 5424 without its structured data. */
const header = /^<(\d{1,3})>\d* (\S+) (\S+) (\S+) (\S+) (?:\S+) ?/;

/**
 * The messages of a body of a Heroku log drain (`application/logplex-1`): each begins with its length in bytes. A message that
 * is not syslog is an entry as it stands. Throws where the lengths do not fit.
 */
export function readLogplex(text: string): readonly unknown[] {
  const bytes = Buffer.from(text);
  const entries: unknown[] = [];
  for (let at = 0; at < bytes.length; ) {
    const prefix = /^\s*(\d{1,8}) /.exec(bytes.toString("latin1", at, at + 16));
    if (!prefix) {
      if (bytes.toString("utf8", at).trim() === "") break;
      throw invalid(`Message ${entries.length} of the drain does not begin with its length.`);
    }
    const start = at + prefix[0].length;
    at = start + Number(prefix[1]);
    if (at > bytes.length)
      throw invalid(`Message ${entries.length} of the drain is longer than what is left of the body.`);
    const message = bytes.toString("utf8", start, at).replace(/\r?\n$/, "");
    if (message.trim() !== "") entries.push(entryOf(message));
    if (entries.length > intakeLimits.entries) throw tooMany();
  }
  return entries;
}

function entryOf(line: string): unknown {
  const match = header.exec(line);
  if (!match) return line;
  const [head, priority, timestamp, host, app, dyno] = match;
  const message = line.slice(head.length);
  // Heroku gives every line of a program the priority of info.
  const level = levelOfLine(message) ?? parseLevel(Number(priority) % 8);
  return { message, level, timestamp, service: app, attributes: { host, "heroku.dyno": dyno } };
}
