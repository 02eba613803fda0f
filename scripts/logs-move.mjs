import "./require-node.mjs";

const { run } = await import("./processes.mjs");
const { ensureReady } = await import("./toolchain.mjs");

await run(async () => {
  await ensureReady();
  const { main } = await import(new URL("../packages/service/dist/commands/move-logs.js", import.meta.url));
  await main();
});
