import { describe, expect, test } from "vitest";
import { levelOfLine, levelOfSeverityNumber, parseLevel } from "../../src/protocol/index.ts";

const esc = "\u001b";

describe("the level that a value means", () => {
  test.each<[string | number, string | undefined]>([
    // Monolog
    [100, "debug"],
    [200, "info"],
    [250, "info"],
    [300, "warn"],
    [400, "error"],
    [500, "fatal"],
    [550, "fatal"],
    [600, "fatal"],
    // Log4j and Logback
    [5000, "trace"],
    [10_000, "debug"],
    [20_000, "info"],
    [30_000, "warn"],
    [40_000, "error"],
    [50_000, "fatal"],
    ["40000", "error"],
    // pino and bunyan
    [10, "trace"],
    [35, "info"],
    [50, "error"],
    [60, "fatal"],
    // syslog
    [0, "fatal"],
    [3, "error"],
    ["7", "debug"],
    // Short forms and other words
    ["VRB", "trace"],
    ["dbug", "debug"],
    ["fail", "error"],
    ["dpanic", "fatal"],
    ["DPANIC", "fatal"],
    // Decorated
    [`${esc}[31merror${esc}[39m`, "error"],
    [`${esc}[1;33mWARN${esc}[0m`, "warn"],
    ["[ERROR]", "error"],
    ["<warn>", "warn"],
    ["error:", "error"],
    ["production.ERROR", "error"],
    ["core:error", "error"],
    ["DEBUG3", "debug"],
    ["trace8", "trace"],
    ["ERROR4", "error"],
    // None
    [8, undefined],
    [61, undefined],
    [150, undefined],
    [404, undefined],
    [45_000, undefined],
    [1.5, undefined],
    ["", undefined],
    ["nonsense", undefined],
    ["an error", undefined],
    ["x".repeat(1000), undefined],
  ])("%s is %s", (value, level) => {
    expect(parseLevel(value)).toBe(level);
  });

  test.each<[string | number, string | undefined]>([
    [1, "trace"],
    [5, "debug"],
    [9, "info"],
    [13, "warn"],
    [17, "error"],
    ["20", "error"],
    [24, "fatal"],
    [0, undefined],
    [25, undefined],
    ["x", undefined],
  ])("severity number %s is %s", (value, level) => {
    expect(levelOfSeverityNumber(value)).toBe(level);
  });
});

describe("the level of a line", () => {
  test.each<[string, string | undefined]>([
    // The place decides, not the form.
    ["2026-11-30 09:00:00 ERROR Could not set log level: debug", "error"],
    ["2026-11-30 09:00:00 FATAL tcp: (notice)", "fatal"],
    ['2026-11-30 09:00:00 ERROR {"level":"info"}', "error"],
    ["2026-11-30 09:00:00 ERROR [info] plugin crashed", "error"],
    ['msg="user set level=error" level=info', "info"],
    ['time="2026-11-30" msg="an ERROR [error] error: x" level=warning', "warn"],
    ["2016-09-28 04:30:31, Info                  CBS    SQM: Warning: no upload", "info"],
    ["INFO app: error: not mine", "info"],
    ['{"msg": "it said \\"level\\": \\"debug\\"", "level": "error"', "error"],
    // Colours
    [`${esc}[31mERROR${esc}[0m boom`, "error"],
    [`${esc}[31merror${esc}[39m: boom`, "error"],
    [`${esc}[2m2026-11-30T09:00:00Z${esc}[0m ${esc}[33m WARN${esc}[0m tracing: x`, "warn"],
    [`web-1  | ${esc}[31mERROR${esc}[0m boom`, "error"],
    // Composed words
    ["[Mon Nov 30 09:00:00.1 2026] [core:error] [pid 1:tid 2] AH00126: Invalid URI", "error"],
    ["[Mon Nov 30 09:00:00.1 2026] [core:trace3] [pid 1] x", "trace"],
    ["[2026-11-30 09:00:00] production.ERROR: boom", "error"],
    ["[2026-11-30 09:00:00] local.EMERGENCY: boom", "fatal"],
    // Columns
    ["2026-11-30T09:00:00.123Z\terror\tmain.go:1\tboom", "error"],
    ["1.7960e+09\tdpanic\tmain.go:1\tboom", "fatal"],
    ["12:00:06 warn text", "warn"],
    ["2026-11-30 09:00:00, Error                 CBS    boom", "error"],
    ["9:00AM FTL boom", "fatal"],
    ["[09:00:00 WRN] careful", "warn"],
    ["[09:00:00 FTL] boom", "fatal"],
    ["[09:00:00 VRB] fine", "trace"],
    ["[09:00:00 ERR] boom", "error"],
    // .NET
    ["fail: Program[0]", "error"],
    ["crit: Program[0]", "fatal"],
    ["dbug: Program[0]", "debug"],
    ["trce: Program[0]", "trace"],
    ["warn: Program[0]", "warn"],
    // Android
    ["11-30 09:00:00.123  1234  5678 E Tag: boom", "error"],
    ["03-17 16:13:38.811  1702  2395 D WindowManager: x", "debug"],
    ["E/Tag( 1234): boom", "error"],
    // PostgreSQL
    ["2026-11-30 09:00:45.123 PST [123] DEBUG1:  x", "debug"],
    ["2026-11-30 09:00:45.123 PST [123] LOG:  statement: select 'ERROR: x'", "info"],
    ['2026-11-30 09:00:45.123 PST [123] ERROR:  relation "a" does not exist', "error"],
    // Redis
    ["1234:M 30 Nov 2026 09:00:00.123 # Warning: no memory", "warn"],
    ["1234:M 30 Nov 2026 09:00:00.123 * Ready", "info"],
    ["1234:C 30 Nov 2026 09:00:00.123 . Verbose", "trace"],
    // MongoDB before 4.4
    ["2026-11-30T09:00:00.123+0000 E NETWORK  [conn1] boom", "error"],
    // As before
    ["2026-11-22 08:00:00,123 - root - WARNING - careful", "warn"],
    ["[error] 12#0: *1 open() failed", "error"],
    ["lvl=eror msg=oops", "error"],
    ["E1122 08:00:00.000000       1 main.go:1] no", "error"],
    ["<11>Nov 22 08:00:00 host app: no", "error"],
    ["sshd[1]: fatal: no matching key", "fatal"],
    ["error[E0308]: mismatched types", "error"],
    ["java.lang.OutOfMemoryError: heap", "error"],
    // PHP, and what says "fatal error" as it does
    ["[30-Nov-2026 09:00:00 UTC] PHP Fatal error:  Uncaught Error: boom in /a.php:1", "fatal"],
    ["PHP Parse error:  syntax error, unexpected end of file", "fatal"],
    ["PHP Recoverable fatal error:  Object could not be converted", "fatal"],
    ["PHP Warning:  Undefined variable $x", "warn"],
    ["[30-Nov-2026 09:00:00 UTC] PHP Notice:  Error: not this", "info"],
    ["fatal error: all goroutines are asleep - deadlock!", "fatal"],
    ["main.c:1:10: fatal error: x.h: No such file", "fatal"],
    // A URL names no level
    ["https://a.b/?level=error fetched", undefined],
    ["loaded page ?severity=critical ok", undefined],
    ["GET /a?x=1&level=error 200", undefined],
    ["GET /a?filter[error]=1 200", undefined],
    ["GET https://a.b/level=error/[error]/x 200", undefined],
    ["GET /logs/level=error 200", undefined],
    ["GET /a?of=INFO,ERROR,x 200", undefined],
    ["fetch(https://a.b/?level=error) ERROR boom", "error"],
    ["url=https://a.b/?level=error level=warn", "warn"],
    ["url=https://a.b/,level=warn", "warn"],
    ["what? ERROR boom", "error"],
    // None
    ["npm warn deprecated", undefined],
    ["2026-11-30 09:00:00 status installed libgpg-error0:amd64 1.46-1", undefined],
    ['10.0.0.1 - - [30/Nov/2026:09:00:18 -0100] "GET /error?level=error HTTP/1.1" 200 1', undefined],
    ["no information here", undefined],
    ["TERRORS and WARNINGS_TOTAL", undefined],
    [`${"x".repeat(300)} ERROR`, undefined],
    ["2026-11-30 09:00:00 alert rules were loaded", undefined],
    ["", undefined],
  ])("%s is %s", (line, level) => {
    expect(levelOfLine(line)).toBe(level);
  });
});
