/** A row as the sender writes it. */
export type SentRow = Readonly<Record<string, unknown>>;

export type RowKind = "small" | "realistic";

/** Words and values that `rowOf` inserts, so that the expected result of a search is known. */
export const planted = {
  /** One row in `rareEvery` contains it. */
  rareWord: "zanzibarite",
  rareEvery: 500_000,
  rareAttribute: { key: "user_id", value: "u31337" },
} as const;

const services = ["checkout", "payments", "gateway", "search", "catalog", "auth", "mailer", "inventory"];
const hosts = Array.from({ length: 40 }, (_, index) => `ip-10-0-${index % 8}-${100 + index}`);
/** Pods per service; a pod writes many lines. */
const podSuffixes = Array.from({ length: 50 }, (_, index) => (0x2c1f3 + index * 0x3a7b).toString(16).padStart(5, "0"));
const methods = ["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const routes = ["/api/v1/cart", "/api/v1/orders", "/api/v1/users", "/api/v1/search", "/healthz", "/api/v2/items"];
const customers = ["acme", "globex", "initech", "umbrella", "hooli", "stark"];
const exceptions = ["TimeoutError", "ConnectionRefused", "NullPointerException", "IllegalStateException"];

/**
 * Returns the row at `index`. A small row has about 200 bytes with four attributes. A realistic one has about 490 bytes
 * with twelve attributes, its own trace id, and a stack trace in 3 % of the rows.
 */
export function rowOf(kind: RowKind, index: number, timestampMs: number, random: (below: number) => number): SentRow {
  const one = <T>(values: readonly T[]): T => values[random(values.length)] as T;
  const level = random(100) < 3 ? "error" : random(100) < 8 ? "warn" : random(100) < 15 ? "debug" : "info";
  const timestamp = new Date(timestampMs).toISOString();
  const userId = `u${random(20_000) + 20_000}`;
  const service = one(services);
  const message =
    index % planted.rareEvery === 0
      ? `cache warmed for ${planted.rareWord} in ${random(90)} ms`
      : messageOf(level, one, random);
  if (kind === "small") {
    return {
      timestamp,
      level,
      service,
      message,
      host: one(hosts),
      user_id: userId,
      duration_ms: random(2000),
      status: status(level, one),
    };
  }
  const stack = random(100) < 3 ? stackOf(one, random) : "";
  return {
    timestamp,
    level: stack === "" ? level : "error",
    service,
    message: message + stack,
    trace_id: hex(32, random),
    span_id: hex(16, random),
    attributes: {
      host: one(hosts),
      region: one(["eu-west-1", "us-west-2"]),
      "k8s.pod": `${service}-${one(podSuffixes)}`,
      version: `2026.11.${random(20)}`,
      "http.method": one(methods),
      "http.route": one(routes),
      "http.status_code": status(level, one),
      user_id: userId,
      customer: one(customers),
      duration_ms: random(2000),
      bytes: random(100_000),
      cached: random(2) === 0,
    },
  };
}

function messageOf(level: string, one: <T>(values: readonly T[]) => T, random: (below: number) => number): string {
  if (level === "error")
    return `${one(exceptions)}: payment ${random(100_000)} failed: card declined by ${one(customers)}`;
  if (level === "warn") return `slow query took ${random(5000)} ms on ${one(hosts)}, retrying`;
  switch (random(5)) {
    case 0:
      return `${one(methods)} ${one(routes)} ${one([200, 200, 201, 204, 404])} in ${random(2000)} ms`;
    case 1:
      return `order ${random(1_000_000)} placed by ${one(customers)}, ${random(20)} items`;
    case 2:
      return `cache ${one(["hit", "miss"])} for key session:${random(100_000)}`;
    case 3:
      return `connection from 10.0.${random(256)}.${random(256)}:${random(60_000)} accepted`;
    default:
      return `job ${one(["invoice", "export", "reindex"])} finished in ${random(90)} s with ${random(10)} retries`;
  }
}

function status(level: string, one: <T>(values: readonly T[]) => T): number {
  return level === "error" ? one([500, 502, 503]) : one([200, 200, 200, 201, 204, 404]);
}

function stackOf(one: <T>(values: readonly T[]) => T, random: (below: number) => number): string {
  const frames = Array.from(
    { length: 6 + random(4) },
    () =>
      `\n    at ${one(services)}.${one(["handle", "charge", "load", "send"])} (/srv/app/${one(services)}.js:${random(900)}:${random(80)})`,
  );
  return frames.join("");
}

function hex(digits: number, random: (below: number) => number): string {
  let text = "";
  while (text.length < digits) text += (random(0xffffffff) >>> 0).toString(16).padStart(8, "0");
  return text.slice(0, digits);
}
