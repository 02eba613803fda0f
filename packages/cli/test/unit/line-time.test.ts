import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isoOfMicros, leadingTime } from "../../src/intake/line-time.ts";

const now = new Date("2026-11-30T12:00:00Z");

function timeOf(line: string): string | undefined {
  const micros = leadingTime(line, now);
  return micros === undefined ? undefined : isoOfMicros(micros);
}

let zone: string | undefined;
beforeAll(() => {
  zone = process.env["TZ"];
  process.env["TZ"] = "Europe/Berlin";
});
afterAll(() => {
  if (zone === undefined) delete process.env["TZ"];
  else process.env["TZ"] = zone;
});

describe("the time that a line begins with", () => {
  test.each<[string, string | undefined]>([
    // ISO 8601, with zones
    ["2026-11-30T09:00:00Z x", "2026-11-30T09:00:00.000Z"],
    ["[2026-11-30 09:00:00.123456 +02:00] x", "2026-11-30T07:00:00.123456Z"],
    ["2026-11-30T09:00:00.123456789Z x", "2026-11-30T09:00:00.123456Z"],
    ["2026-11-30 09:00:00,123+0200 x", "2026-11-30T07:00:00.123Z"],
    ["2026-11-30 09:00:45.123456-08 [12] LOG:  x", "2026-11-30T17:00:45.123456Z"],
    ["2026-11-30 09:00:09.123 CET [12] LOG:  x", "2026-11-30T08:00:09.123Z"],
    ["2026-11-30 09:00:09.123 PST [12] LOG:  x", "2026-11-30T17:00:09.123Z"],
    ["2026-11-30 09:00:09 UTC x", "2026-11-30T09:00:09.000Z"],
    // Without a zone it is local time: Berlin, in winter and in summer
    ["2026-11-30 09:00:00 x", "2026-11-30T08:00:00.000Z"],
    ["2026-07-30 09:00:00 ERROR x", "2026-07-30T07:00:00.000Z"],
    ["2026-11-30 09:00:00,123 - root - INFO - x", "2026-11-30T08:00:00.123Z"],
    ["2026-11-30 09:00:00 -1 is a number", "2026-11-30T08:00:00.000Z"],
    // A zone that stands for several is not guessed; an impossible date is no date.
    ["2026-11-30 09:00:09.123 IST [12] LOG:  x", undefined],
    ["2026-11-31T09:00:48Z x", undefined],
    ["2026-13-01 09:00:48 x", undefined],
    ["2026-11-30 25:00:48 x", undefined],
    // nginx, Go, ClickHouse
    ["2026/11/30 09:00:00 [error] 12#0: x", "2026-11-30T08:00:00.000Z"],
    ["2026.11.30 09:00:00.123456 [ 12 ] <Error> x", "2026-11-30T08:00:00.123456Z"],
    // syslog, RFC 3164 and 5424
    ["<34>1 2026-11-30T09:00:00.003Z host app - - - x", "2026-11-30T09:00:00.003Z"],
    ["<34>Nov 30 09:00:16 host app: x", "2026-11-30T08:00:16.000Z"],
    ["Nov  3 09:00:16 host app: x", "2026-11-03T08:00:16.000Z"],
    ["Dec 24 09:00:16 host app: x", "2025-12-24T08:00:16.000Z"],
    ["Feb 29 09:00:16 host app: x", "2024-02-29T08:00:16.000Z"],
    ["Dec  1 09:00:16 host app: x", "2026-12-01T08:00:16.000Z"],
    // Access logs, Apache's error log
    ['10.0.0.1 - - [30/Nov/2026:09:00:18 -0100] "GET / HTTP/1.1" 200 1', "2026-11-30T10:00:18.000Z"],
    ["[Mon Nov 30 09:00:00.123456 2026] [core:error] x", "2026-11-30T08:00:00.123456Z"],
    ["Mon Nov 30 09:00:00 CET 2026 x", "2026-11-30T08:00:00.000Z"],
    // Log4j and Tomcat, java.util.logging
    ["30 Nov 2026 09:00:00,123 INFO x", "2026-11-30T08:00:00.123Z"],
    ["30-Nov-2026 09:00:00.123 INFO x", "2026-11-30T08:00:00.123Z"],
    ["Nov 30, 2026 9:00:00 AM com.example.Main run", "2026-11-30T08:00:00.000Z"],
    ["Nov 30, 2026 12:30:00 AM com.example.Main run", "2026-11-29T23:30:00.000Z"],
    ["Nov 30, 2026 9:00:00 PM com.example.Main run", "2026-11-30T20:00:00.000Z"],
    // glog, Android, Redis
    ["I1130 09:00:00.123456       1 main.go:1] x", "2026-11-30T08:00:00.123456Z"],
    ["11-30 09:00:00.123  1234  5678 E Tag: x", "2026-11-30T08:00:00.123Z"],
    ["1234:M 30 Nov 2026 09:00:00.123 * Ready", "2026-11-30T08:00:00.123Z"],
    // Since 1970
    ["1796031366 x", "2026-11-30T09:36:06.000Z"],
    ["1796031366.5 x", "2026-11-30T09:36:06.500Z"],
    ["1796031366807 x", "2026-11-30T09:36:06.807Z"],
    ["1796031366807141 x", "2026-11-30T09:36:06.807141Z"],
    ["[1796031366] x", "2026-11-30T09:36:06.000Z"],
    ["1.796031366e+09\tinfo\tx", "2026-11-30T09:36:06.000Z"],
    // logfmt
    ["time=2026-11-30T09:00:00Z level=info msg=x", "2026-11-30T09:00:00.000Z"],
    ['level=info msg="a ts=b" ts="2026-11-30 09:00:00" x=1', "2026-11-30T08:00:00.000Z"],
    ["ts=1796031366.5 msg=x", "2026-11-30T09:36:06.500Z"],
    // Digits without marks
    ["20261130-09:00:00:123|Step|x", "2026-11-30T08:00:00.123Z"],
    ["20261130T090000Z x", "2026-11-30T09:00:00.000Z"],
    // Behind a prefix
    ["web-1  | 2026-11-30T09:00:00Z x", "2026-11-30T09:00:00.000Z"],
    ["[ERROR] 2026-11-30T09:00:00Z x", "2026-11-30T09:00:00.000Z"],
    ["WARN [2026-11-30 09:00:00] x", "2026-11-30T08:00:00.000Z"],
    ["\u001b[2m2026-11-30T09:00:00Z\u001b[0m x", "2026-11-30T09:00:00.000Z"],
    // None
    ["at 2026-11-30 09:00:00", undefined],
    ["09:00:00 x", undefined],
    ["12345 x", undefined],
    ["4155551234 called", undefined],
    ["x=1 y=2", undefined],
    ["", undefined],
  ])("%s: %s", (line, time) => {
    expect(timeOf(line)).toBe(time);
  });
});
