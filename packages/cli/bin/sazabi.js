#!/usr/bin/env node
// First of all: a key among the arguments must not stay in the process list.
if (process.argv.some((argument) => /[sp]k_live_|sazabi_(secret|public)_/.test(argument))) process.title = "sazabi";

const entry = new URL("../dist/main.js", import.meta.url);

try {
  const { main } = await import(entry.href);
  await main();
} catch (error) {
  if (error?.code !== "ERR_MODULE_NOT_FOUND" || error.url !== entry.href) throw error;
  process.stderr.write("sazabi is not built yet. Run `npm run build` at the root of the repository first.\n");
  process.exitCode = 1;
}
