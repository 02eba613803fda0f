// ClickHouse's engine (chdb) behind the part of ClickHouse's HTTP interface that its client uses, so that the service
// under test speaks to it as to any server. Arguments: data folder, user, password, port or 0. Started by ../clickhouse.ts.
import { createServer } from "node:http";
import { Session } from "chdb";

const [dataDir, user, password, port] = process.argv.slice(2);
const session = new Session(dataDir);
/** Of the request, and not settings. Every answer here is whole before it is sent. */
const ownParameters = new Set(["query", "query_id", "database", "session_id", "default_format", "wait_end_of_query"]);
/** Cannot be taken back in a session, and this one serves all requests. */
const notForASession = new Set(["readonly"]);

/** The engine has one session, whose settings each request sets and takes back: one request after the other. */
let turn = Promise.resolve();
/** Answers to inserts that are done wait for this. */
let held;
let refusals = 0;
/** Settings of the session. */
let applied = new Map();
let inUse;

process.on("message", ({ hold, release, refuse }) => {
  if (hold) held = Promise.withResolvers?.() ?? withResolvers();
  if (release) {
    held?.resolve();
    held = undefined;
  }
  if (refuse !== undefined) refusals = refuse;
  process.send({ done: true });
});

function withResolvers() {
  let resolve;
  const promise = new Promise((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

const server = createServer({ maxHeaderSize: 1024 * 1024 }, async (request, response) => {
  const chunks = [];
  try {
    for await (const chunk of request) chunks.push(chunk);
  } catch {
    return; // Whoever asked has left in the middle of it.
  }
  const url = new URL(request.url, "http://localhost");
  if (url.pathname === "/ping") return void response.end("Ok.\n");
  const given = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  if (request.headers.authorization !== given) {
    return refuse(response, 403, 516, "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)");
  }
  const body = Buffer.concat(chunks).toString();
  const statement = url.searchParams.get("query");
  const text = statement ? `${statement}\n${body}` : body;
  const isInsert = /^\s*insert\b/i.test(text);
  if (isInsert && refusals > 0) {
    refusals -= 1;
    return refuse(response, 503, 202, "Code: 202. DB::Exception: Too many queries. (TOO_MANY_SIMULTANEOUS_QUERIES)");
  }
  const mine = turn.then(() => (response.destroyed ? undefined : answer(text, statement ?? body, url.searchParams)));
  turn = mine.catch(() => undefined);
  try {
    const result = await mine;
    if (isInsert && held) {
      process.send({ holding: true });
      await held.promise;
    }
    response.setHeader("x-clickhouse-query-id", url.searchParams.get("query_id") ?? "none");
    response.end(result);
  } catch (error) {
    refuse(response, 500, error.clickhouseCode ?? 1002, `${error.message}\n`);
  }
});

async function answer(text, statement, parameters) {
  const settings = [...parameters].filter(([name]) => !ownParameters.has(name) && !name.startsWith("param_"));
  const given = [...parameters].filter(([name]) => name.startsWith("param_"));
  // The session would go on to use the last request's.
  for (const [, name] of statement.matchAll(/\{(\w+):/g)) {
    if (!parameters.has(`param_${name}`)) {
      throw Object.assign(new Error(`Code: 456. DB::Exception: Substitution \`${name}\` is not set.`), {
        clickhouseCode: 456,
      });
    }
  }
  const database = parameters.get("database") ?? "default";
  if (database !== inUse) await session.queryAsync(`use ${database}`);
  inUse = database;
  await apply(new Map(settings.filter(([name]) => !notForASession.has(name))));
  if (given.length > 0) {
    await session.queryAsync(`set ${given.map(([name, value]) => `${name} = ${quoted(value)}`).join(", ")}`);
  }
  return Buffer.from((await session.queryAsync(text, { format: "TabSeparated" })).bytes());
}

/** Those of the last request that this one has not go back to their defaults. */
async function apply(settings) {
  const changes = [
    ...[...applied.keys()].filter((name) => !settings.has(name)).map((name) => `${name} = default`),
    ...[...settings]
      .filter(([name, value]) => applied.get(name) !== value)
      .map(([name, value]) => `${name} = ${quoted(value)}`),
  ];
  if (changes.length > 0) await session.queryAsync(`set ${changes.join(", ")}`);
  applied = settings;
}

function quoted(text) {
  return `'${text.replace(/[\\']/g, "\\$&")}'`;
}

function refuse(response, status, code, message) {
  response.writeHead(status, { "x-clickhouse-exception-code": String(code) });
  response.end(message);
}

server.listen(Number(port), "127.0.0.1", () => process.send({ port: server.address().port }));
process.on("disconnect", () => process.exit());
