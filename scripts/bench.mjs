import "./require-node.mjs";

const { run, runTool, SetupError } = await import("./processes.mjs");
const { ensureReady, installFolder } = await import("./toolchain.mjs");
const { existsSync } = await import("node:fs");
const { fileURLToPath } = await import("node:url");

await run(async () => {
  const [name = "", ...args] = process.argv.slice(2);
  const bench = fileURLToPath(new URL(`bench/${name}.ts`, import.meta.url));
  if (!existsSync(bench)) throw new SetupError(`There is no benchmark scripts/bench/${name}.ts.`);
  await ensureReady();
  // Competitors in the benchmark, installed only here and not as dependencies of the project.
  const peers = fileURLToPath(new URL(`bench/${name}-peers`, import.meta.url));
  if (existsSync(peers)) await installFolder(peers);
  process.exitCode = await runTool("tsx/dist/cli.mjs", [bench, ...args]);
});
