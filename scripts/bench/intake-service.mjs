// Runs the built service in a separate process. With STORE=nothing its log store accepts every batch and discards it.
// With STORE=copy it only copies the rows into the table `bare`, without ids, ledger, counts, patterns or word index.
import { monitorEventLoopDelay } from "node:perf_hooks";
import { openService } from "../../packages/service/dist/compose.js";
import { openDatabase } from "../../packages/service/dist/db/database.js";
import { GroupCommit } from "../../packages/service/dist/logs/commit-log/group-commit.js";
import { copyColumns, copyText, numberRows } from "../../packages/service/dist/logs/engines/postgres/copy-text.js";

const lanes = 3;

function storeWith(append, close = async () => {}) {
  return new Proxy({ append, close }, { get: (store, name) => store[name] ?? (async () => []) });
}

function openCopyingStore() {
  const db = openDatabase({ url: process.env.DATABASE_URL, connections: lanes });
  let nextId = 1;
  const queue = new GroupCommit({
    lanes,
    rowsPerCommit: 2_000,
    queueBytes: 64 * 1024 * 1024,
    isRefused: () => false,
    prepare: ({ entries, result }) => ({
      rows: Buffer.from(entries.reduce((text, entry) => text + copyText(1, entry, 0), "")),
      result,
    }),
    async commit(batches, follow) {
      follow();
      for (const { rows } of batches) nextId = numberRows(rows, nextId);
      const rows = batches.map((batch) => batch.rows);
      await db.transaction((tx) => tx.finish([{ copy: `copy bare (${copyColumns}) from stdin`, rows }]));
      return batches.map(({ result }) => result);
    },
  });
  return storeWith(
    (batch) => queue.append(batch),
    () => db.close(),
  );
}

const stores = {
  nothing: () => storeWith(async (batch) => batch.result),
  copy: openCopyingStore,
};
const openLogStore = stores[process.env.STORE];

const service = await openService({
  host: "127.0.0.1",
  port: 0,
  databaseUrl: process.env.DATABASE_URL,
  dataDir: process.env.DATA_DIR,
  keyPepper: undefined,
  masterKey: undefined,
  logRetentionDays: 30,
  requestsPerMinute: 1e9,
  ...(openLogStore && { openLogStore }),
});
/** The event loop delay since the last message. */
const delays = monitorEventLoopDelay({ resolution: 5 });
delays.enable();
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send({
    cpuMicros: user + system,
    loopP99Ms: delays.percentile(99) / 1e6,
    loopWorstMs: delays.max / 1e6,
  });
  delays.reset();
});
process.once("disconnect", () => service.close());
process.send({ url: service.url, firstKeys: service.firstKeys });
