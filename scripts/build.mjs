import "./require-node.mjs";

const { run } = await import("./processes.mjs");
const { ensureReady } = await import("./toolchain.mjs");

await run(ensureReady);
