import { levelOfLine } from "@sazabi/sdk/protocol";
import { parseObject } from "./json-object.ts";
import { leadingTime } from "./line-time.ts";

/** Beginnings of the lines of a stack trace that are not indented: Java, .NET, Python, Ruby, PHP, Go. */
const traceLines = new RegExp(
  `^(?:${[
    "Caused by: ",
    "Suppressed: ",
    "\\.\\.\\. \\d+ (?:more|common frames)",
    "During handling of the above exception",
    "The above exception was the direct cause",
    "Stack trace:",
    "\\[stacktrace\\]",
    "#\\d+ ",
    "--- End of ",
    "goroutine \\d+ \\[",
    "\\[signal SIG",
    "created by ",
    "exit status \\d",
    '"?[\\])}]+[,;]?"?\\s*$',
  ].join("|")})`,
);

/** Whether a line continues the entry before it: it is indented, or a line of a stack trace. */
export function isContinuation(line: string, before: readonly string[], now: Date): boolean {
  const [first = ""] = before;
  // JSON is complete, and a file of indented lines has no continuations.
  if (parseObject(first.trim())) return false;
  if (beginsTraceback(line)) return continuesWithTraceback(before);
  if (/^\s/.test(first) && !beginsTraceback(first)) return false;
  if (/^[ \t]+\S/.test(line)) return leadingTime(line.trim(), now) === undefined;
  if (traceLines.test(line)) return true;
  // Python names the error below the frames; Go names a function above each frame.
  const last = before.at(-1) as string;
  if (hasTraceback(before)) return isFrame.test(last) && isException.test(line);
  if (before.some((text) => /^goroutine \d+ \[/.test(text))) return /^[\w./*()\-[\]·{}]+\(.*\)$/.test(line);
  // Java prints the exception on a line of its own below the message of a logger.
  return before.length === 1 && /^(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error|Throwable)(?:: |$)/.test(line);
}

/** In a traceback of Python. Lines of an exception group begin with a bar, and name the error themselves. */
const isFrame = /^[ \t]+[^\s|+]/;
const isException = /^(?:[A-Za-z_][\w.<>]*: |(?:[\w<>]+\.)+\w+:?$|[A-Z]\w*:?$)/;

/** Whether a text begins with a traceback of Python, also with that of an exception group. */
export function beginsTraceback(text: string): boolean {
  return /^(?:Traceback|\s*\+ Exception Group Traceback) \(most recent call last\):/.test(text);
}

/** A logger prints the traceback below a line of level error. Below any other line it is another event. */
function continuesWithTraceback(before: readonly string[]): boolean {
  if (hasTraceback(before)) return /^(?:During handling of|The above exception was) /.test(before.at(-1) as string);
  const level = levelOfLine(before[0] as string);
  return level === "error" || level === "fatal";
}

function hasTraceback(lines: readonly string[]): boolean {
  return lines.some((line) => beginsTraceback(line.trimStart()) || beginsTraceback(line));
}
