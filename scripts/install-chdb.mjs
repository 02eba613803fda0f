import "./require-node.mjs";

const { run } = await import("./processes.mjs");
const { installFolder } = await import("./toolchain.mjs");
const { fileURLToPath } = await import("node:url");

// Installs ClickHouse's engine, 550 MB, for the tests of the store on ClickHouse. Nothing else installs it.
await run(() => installFolder(fileURLToPath(new URL("../packages/service/test/support/chdb", import.meta.url))));
