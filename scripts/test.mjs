import "./require-node.mjs";

const { run, runTool } = await import("./processes.mjs");
const { ensureReady } = await import("./toolchain.mjs");

await run(async () => {
  await ensureReady();
  const reporters = ["--reporter=default", "--reporter=./scripts/skip-reporter.mjs"];
  process.exitCode = await runTool("vitest/vitest.mjs", ["run", ...reporters, ...process.argv.slice(2)]);
});
