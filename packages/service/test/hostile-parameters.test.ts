import { SazabiAdmin } from "@sazabi/sdk";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../src/app.ts";
import type { AppContext } from "../src/app-context.ts";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";
import { scaled } from "./support/scale.ts";

let service: TestService;
/** Ids of things that exist, by the route that lists them. */
let ids: Record<"queries" | "secretKey" | "publicKey" | "log", string>;

beforeAll(async () => {
  service = await startTestService({ requestsPerMinute: 1_000_000 });
  const admin = new SazabiAdmin({ secretKey: service.secretKey, baseUrl: service.url });
  const now = Date.now();
  const entries = Array.from({ length: 20 }, (_, index) => ({
    message: `payment ${index} failed`,
    timestamp: now - index * 60_000,
    level: "error",
    service: "api",
    attributes: { status: 500 + index, user: "u" },
  }));
  await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": service.publicKey }, body: entries });
  const saved = await admin.queries.create({ name: "saved", query: "payment" });
  const { data } = await admin.logs.query({});
  const secretKey = await admin.secretKeys.create({ name: "victim" });
  const publicKey = await admin.publicKeys.create({ name: "victim", projectId: service.projectId });
  ids = { queries: saved.id, secretKey: secretKey.id, publicKey: publicKey.id, log: data[0]?.id as string };
});
afterAll(() => service.close());

type Parameters = Readonly<Record<string, unknown>>;

interface Route {
  /** As the application has it. */
  readonly route: string;
  /** Valid parameters, all there are: in the query of a GET, in the body of a POST. */
  readonly parameters: Parameters;
  /** Those without which no request is valid. */
  readonly required?: readonly string[];
}

const times = { startDate: "2026-01-01T00:00:00Z", endDate: "2026-01-01T01:00:00Z" };
const search = {
  search: { query: "payment", mode: "all", fields: ["message"] },
  filters: [
    { field: "level", op: "eq", value: "error" },
    { field: "status", op: "gte", value: 500 },
    { field: "user", op: "in", value: ["u"] },
    { field: "user", op: "contains", value: "u" },
    { field: "status", op: "between", value: { from: "500", to: "501" } },
    { field: "timestamp", op: "between", value: { from: times.startDate, to: times.endDate } },
  ],
};
const pagination = { limit: 10, cursor: Buffer.from("1767225600000000.1.1").toString("base64url") };
const sort = { field: "timestamp", direction: "desc" };
const page = { limit: "10", cursor: "00000000-0000-4000-8000-000000000000" };
const projectId = () => ({ projectId: service.projectId });

const reading = (): readonly Route[] => [
  { route: "GET /v1/me", parameters: {} },
  { route: "GET /v1/organizations", parameters: {} },
  { route: `GET /v1/organizations/${service.organizationId}`, parameters: {} },
  { route: "GET /v1/projects", parameters: { organizationId: service.organizationId } },
  { route: `GET /v1/projects/${service.projectId}`, parameters: {} },
  { route: "GET /v1/secret-keys", parameters: { unusedForDays: "1", revoked: "true", ...page } },
  { route: `GET /v1/secret-keys/${ids.secretKey}`, parameters: {} },
  { route: "GET /v1/public-keys", parameters: { ...projectId(), unusedForDays: "1", revoked: "true", ...page } },
  { route: `GET /v1/public-keys/${ids.publicKey}`, parameters: projectId() },
  { route: "GET /v1/keys/self", parameters: {} },
  {
    route: `GET /v1/keys/${ids.secretKey}/usage`,
    parameters: { from: times.startDate, to: times.endDate, interval: "1h" },
  },
  {
    route: "GET /v1/audit",
    parameters: {
      action: "secret_key.created",
      actorId: page.cursor,
      targetId: page.cursor,
      from: times.startDate,
      to: times.endDate,
      limit: "10",
      cursor: "1",
    },
  },
  { route: "POST /v1/keys/identify", parameters: { key: service.publicKey } },
  { route: "GET /v1/threads", parameters: { ...projectId(), status: "regular", ...page } },
  { route: "GET /v1/queries", parameters: { ...projectId(), ...page } },
  { route: `GET /v1/queries/${ids.queries}`, parameters: {} },
  { route: `GET /v1/logs/${ids.log}`, parameters: { ...projectId(), before: "1", after: "1" } },
  {
    route: "GET /v1/tail",
    parameters: {
      ...projectId(),
      query: "payment",
      cursor: "1",
      filters: {
        severities: ["error"],
        services: ["api"],
        environments: ["prod"],
        searchTerm: "payment",
        traceId: "t",
        attributes: { user: "u" },
      },
    },
  },
  { route: "POST /v1/logs/query", parameters: { ...projectId(), ...search, select: ["message"], sort, pagination } },
  {
    route: "POST /v1/logs/volume",
    parameters: {
      ...projectId(),
      ...times,
      interval: "1m",
      groupBy: "service",
      query: "payment",
      filters: { service_name: "api", severity_text: ["ERROR"], environment: "prod" },
    },
  },
  {
    route: "POST /v1/logs/facets",
    parameters: { ...projectId(), ...search, field: "user", limit: 10 },
    required: ["field"],
  },
  {
    route: "POST /v1/logs/patterns",
    parameters: { ...projectId(), query: "payment", severity: "error", ...times, limit: 10 },
  },
  { route: "POST /v1/logs/schema", parameters: { ...projectId(), question: "which user pays?", topK: 8 } },
  {
    route: "POST /v1/logs/native-query",
    parameters: { ...projectId(), query: "select count(*) from logs" },
    required: ["query"],
  },
  {
    route: `POST /v1/queries/${ids.queries}/execute`,
    parameters: { ...times, sort: { direction: "asc" }, pagination },
  },
];

/** Routes that change something, without those that would end the key that asks. */
const writing = (): readonly Route[] => {
  const key = { requestsPerMinute: 10, allowedAddresses: ["127.0.0.1"], expiresAt: "2999-01-01T00:00:00Z" };
  const query = { description: "all of them", query: "payment", lookBackSeconds: 3_600 };
  return [
    { route: "POST /v1/projects", parameters: { name: "new", region: "us-west-2" }, required: ["name"] },
    {
      route: "POST /v1/secret-keys",
      parameters: { name: "new", style: "live", scopes: ["read:logs"], ...projectId(), ...key },
      required: ["name"],
    },
    {
      route: "POST /v1/public-keys",
      parameters: { name: "new", allowedOrigins: ["https://app.example.com"], ...projectId(), ...key },
      required: ["name"],
    },
    { route: `PATCH /v1/public-keys/${ids.publicKey}`, parameters: { name: "other", ...projectId(), ...key } },
    { route: "POST /v1/queries", parameters: { name: "new", ...projectId(), ...query }, required: ["name", "query"] },
    { route: `PATCH /v1/queries/${ids.queries}`, parameters: { name: "other", ...query } },
    { route: `POST /v1/secret-keys/${ids.secretKey}/rotate`, parameters: { graceSeconds: 1 } },
  ];
};

const cursorOf = (text: string) => Buffer.from(text).toString("base64url");

const hostileTimes = [
  "9999-12-31T23:59:59.999999Z",
  "9999-12-31T23:59:59.999999999-14:00",
  "0001-01-01T00:00:00Z",
  "0001-01-01T00:00:00+14:00",
  "0000-01-01T00:00:00Z",
  "+275760-09-13T00:00:00.000Z",
  "-000001-01-01T00:00:00Z",
  "2255-06-05T23:47:34.740993Z",
  "1970-01-01T00:00:00.000001Z",
];
const always: readonly unknown[] = [
  "a\0b",
  "\udc00\ud800",
  "",
  "/(/",
  "x".repeat(5_000),
  "9223372036854775808",
  -1,
  1e308,
  2 ** 53,
  null,
  ["\0"],
  { from: "\0", to: "\ud800" },
  "9999-12-31T23:59:59.999999Z",
  "0001-01-01T00:00:00Z",
  { from: "0001-01-01T00:00:00Z", to: "9999-12-31T23:59:59.999999Z" },
  cursorOf("-99999999999999999.1.1"),
  cursorOf("9007199254740991.2147483647.9223372036854775807"),
];
const atFullScaleOnly: readonly unknown[] = [
  "\0",
  "\ud800",
  " ",
  "\u202e",
  "%",
  "\\",
  "/[\0-\ud800]+/",
  '"',
  "a:".repeat(100),
  "(".repeat(400),
  "x".repeat(150),
  "x".repeat(100_000),
  "-1",
  "1e400",
  "NaN",
  "0x10",
  "null",
  0,
  0.5,
  -1e308,
  2 ** 31,
  2 ** 63,
  true,
  [],
  [["\ud800"]],
  {},
  JSON.parse('{"__proto__": {"a": 1}, "constructor": 1}'),
  ...hostileTimes,
  ...hostileTimes.map((time) => ({ from: time, to: "9999-12-31T23:59:59.999999Z" })),
  cursorOf("99999999999999999.1.1"),
  cursorOf("-9007199254740991.0.0"),
  cursorOf("\0.\0.\0"),
  "00000000-0000-0000-0000-000000000000",
];
const atFullScale = scaled({ committed: 0, full: 1 }) === 1;
const hostileValues = atFullScale ? [...always, ...atFullScaleOnly] : always;

type Path = readonly (string | number)[];

/** Every place in the parameters that holds a value, objects and arrays included. */
function* placesIn(value: unknown, path: Path = []): Generator<Path> {
  if (path.length > 0) yield path;
  if (typeof value !== "object" || value === null) return;
  for (const [name, inner] of Object.entries(value)) yield* placesIn(inner, [...path, name]);
}

function replaced(value: unknown, [name, ...rest]: Path, by: unknown): unknown {
  if (name === undefined) return by;
  const copy = Array.isArray(value) ? [...value] : { ...(value as object) };
  const members = copy as Record<string | number, unknown>;
  members[name] = replaced(members[name], rest, by);
  return copy;
}

/** One hostile value at each place, among all parameters and among the required ones; and each pair of times. */
function* hostileParameters({ parameters, required = [] }: Route): Generator<Parameters> {
  const minimal = Object.fromEntries(required.map((name) => [name, parameters[name]]));
  for (const place of placesIn(parameters)) {
    for (const value of hostileValues) {
      yield replaced(parameters, place, value) as Parameters;
      if (atFullScale && place.length === 1) yield { ...minimal, [String(place[0])]: value };
    }
  }
  const [from, to] = "startDate" in parameters ? ["startDate", "endDate"] : ["from", "to"];
  if (!(from in parameters)) return;
  for (const one of hostileTimes) for (const other of hostileTimes) yield { ...minimal, [from]: one, [to]: other };
}

async function ask(route: string, parameters: Parameters): Promise<number> {
  const [method, path] = route.split(" ") as [string, string];
  const url = new URL(path, service.url);
  if (method === "GET") {
    for (const [name, value] of Object.entries(parameters)) {
      url.searchParams.set(name, typeof value === "string" ? value : JSON.stringify(value));
    }
  }
  const response = await fetch(url, {
    method,
    headers: { ...bearer(service.secretKey), ...(method !== "GET" && { "content-type": "application/json" }) },
    body: method !== "GET" ? JSON.stringify(parameters) : null,
  });
  // A tail has no end.
  if (response.ok) await response.body?.cancel();
  else await response.arrayBuffer();
  return response.status;
}

test.each([
  ["reads", reading, 1_500],
  ["creates or changes", writing, 300],
])(
  "no parameter of any route that %s makes the service fail",
  async (_, routes, atLeast) => {
    const failed: unknown[] = [];
    let asked = 0;
    for (const route of routes()) {
      const todo = [...hostileParameters(route)];
      const next = async () => {
        for (let one = todo.pop(); one; one = todo.pop()) {
          const status = await ask(route.route, one);
          asked += 1;
          // A search that takes too long is stopped, which is what was promised.
          if (status >= 500 && status !== 504) failed.push([status, route.route, JSON.stringify(one).slice(0, 600)]);
        }
      };
      await Promise.all(Array.from({ length: 6 }, next));
    }
    expect(failed).toEqual([]);
    expect(asked).toBeGreaterThan(atLeast);
  },
  300_000,
);

test("no path of any route that reads makes the service fail", async () => {
  for (const { route } of reading()) {
    const [method, path] = route.split(" ") as [string, string];
    const ownIds = [service.organizationId, service.projectId, ...Object.values(ids)];
    for (const id of ownIds.filter((one) => path.split("/").includes(one))) {
      for (const value of [
        "%00",
        "%ED%A0%80",
        "%",
        "a%2Fb",
        "-1",
        "9223372036854775808",
        "1".repeat(18),
        "x".repeat(5_000),
      ]) {
        const status = await ask(`${method} ${path.replace(`/${id}`, `/${value}`)}`, {});
        expect([400, 404, 414, 431], `${path} ${value}`).toContain(status);
      }
    }
  }
});

test("a window from the year 1 to the year 9999 finds every entry", async () => {
  const between = { from: "0001-01-01T00:00:00Z", to: "9999-12-31T23:59:59.999999Z" };
  const answer = await send(service, "POST /v1/logs/query", {
    headers: bearer(service.secretKey),
    body: { filters: [{ field: "timestamp", op: "between", value: between }] },
  });
  expect(answer.body.data).toHaveLength(20);
  const dates = { startDate: between.from, endDate: between.to };
  const patterns = await send(service, "POST /v1/logs/patterns", { headers: bearer(service.secretKey), body: dates });
  expect(patterns.body.patterns).toMatchObject([{ occurrences: 20 }]);
});

test("every route that reads is among these", () => {
  // biome-ignore lint/suspicious/noExplicitAny: stands for every service; the routes are only listed.
  const anything: any = new Proxy(() => {}, { get: () => anything, apply: () => anything });
  const covered = reading().map(({ route }) => {
    const [method, path] = route.split(" ") as [string, string];
    return { method, segments: path.split("/") };
  });
  const others =
    /^\/v1\/(?:logs|keys\/import|projects|secret-keys|public-keys|queries|keys\/revoke-all|traces|metrics)$|\/(?:rotate|finish|cancel|revoke|ensure|deactivate|report|report\/github)$/;
  const listed = createApp(anything as AppContext)
    .routes.filter(({ method, path }) => /^(?:GET|POST)$/.test(method) && path.startsWith("/v1/"))
    .filter(({ method, path }) => method === "GET" || !others.test(path));
  const missing = listed.filter(({ method, path }) => {
    const segments = path.split("/");
    return !covered.some(
      (one) =>
        one.method === method &&
        one.segments.length === segments.length &&
        segments.every((segment, at) => segment.startsWith(":") || segment === one.segments[at]),
    );
  });
  expect(missing.map(({ method, path }) => `${method} ${path}`)).toEqual([]);
  expect(listed.length).toBeGreaterThan(20);
});
