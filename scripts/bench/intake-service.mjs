// The built service, in a process of its own. With STORE=nothing its log store accepts every batch and keeps none.
import { openService } from "../../packages/service/dist/service.js";

const storesNothing = new Proxy(
  { append: async (batch) => batch.result },
  { get: (store, name) => store[name] ?? (async () => []) },
);

const service = await openService({
  host: "127.0.0.1",
  port: 0,
  databaseUrl: process.env.DATABASE_URL,
  dataDir: process.env.DATA_DIR,
  keyPepper: undefined,
  masterKey: undefined,
  logRetentionDays: 30,
  requestsPerMinute: 1e9,
  ...(process.env.STORE === "nothing" ? { openLogStore: () => storesNothing } : {}),
});
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send({ cpuMicros: user + system });
});
process.once("disconnect", () => service.close());
process.send({ url: service.url, firstKeys: service.firstKeys });
