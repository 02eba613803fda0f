import "./require-node.mjs";

const { run } = await import("./processes.mjs");
const { ensureReady } = await import("./toolchain.mjs");

await run(async () => {
  await ensureReady();
  process.setSourceMapsEnabled(true);
  stopWithNpm();
  // Runs in this process, so that Ctrl-C and other signals reach the service itself.
  const { main } = await import(new URL("../packages/service/dist/main.js", import.meta.url));
  await main();
});

/** Stops when npm does. A signal to npm ends npm and its shell, which does not pass it on. */
function stopWithNpm() {
  if (!process.env.npm_lifecycle_event) return;
  const parent = process.ppid;
  const watching = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watching);
    process.kill(process.pid, "SIGTERM");
  }, 500).unref();
}
