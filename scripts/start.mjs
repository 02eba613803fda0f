import "./require-node.mjs";

const { run } = await import("./processes.mjs");
const { ensureReady } = await import("./toolchain.mjs");

await run(async () => {
  await ensureReady();
  process.setSourceMapsEnabled(true);
  stopWithNpm();
  // In this process, so that Ctrl-C and every other signal reach the service itself.
  const { main } = await import(new URL("../packages/service/dist/main.js", import.meta.url));
  await main();
});

/** A signal sent to npm ends npm and its shell, which does not pass it on: without them, we stop too. */
function stopWithNpm() {
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  const watching = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watching);
    process.kill(process.pid, "SIGTERM");
  }, 500).unref();
}
