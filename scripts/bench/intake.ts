// Compares durable intake with no intake. POST /v1/logs with one entry, committed before the response, runs against the
// same route with a log store that discards entries. Also measures the cost of a row before it is sent.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openEmbeddedPostgres } from "../../packages/service/src/embedded-postgres.ts";
import {
  byThroughput,
  describe,
  interleave,
  type Measured,
  printRatios,
  singleEntries,
  startSubject,
} from "./harness.ts";
import { printRowCosts } from "./row-costs.ts";

const rounds = 7;
const durationMs = 5_000;

const rowRatios = printRowCosts();
const dataDir = await mkdtemp(join(tmpdir(), "sazabi-bench-"));
const postgres = await openEmbeddedPostgres({ dataDir });
try {
  const env = { DATABASE_URL: postgres.url, DATA_DIR: dataDir };
  const program = new URL("intake-service.mjs", import.meta.url);
  const durable = await startSubject(program, env);
  const nothing = await startSubject(program, { ...env, STORE: "nothing" });
  const { publicKey } = durable.started["firstKeys"] as { publicKey: string };

  const entry = {
    level: "error",
    message: "payment 4711 failed: card declined",
    service: "checkout",
    attributes: { "http.status_code": 402, "user.id": "u_12345", region: "eu-west-1" },
  };
  const contestant = (name: string, subject: typeof durable) =>
    singleEntries(name, subject, { publicKey, durationMs, entry: () => entry });
  const results = await interleave([contestant("durable", durable), contestant("storing nothing", nothing)], rounds);
  await durable.close();
  await nothing.close();

  for (const [name, measurement] of results) console.log(`median   ${describe(name, measurement)}`);
  const [kept, baseline] = [...results.values()] as [Measured, Measured];
  printRatios({ durableSingle: byThroughput(kept, baseline), ...rowRatios });
} finally {
  await postgres.close();
  await rm(dataDir, { recursive: true, force: true });
}
