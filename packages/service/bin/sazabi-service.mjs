#!/usr/bin/env node
// A file of its own, so that package managers can link it before the first build.
import { existsSync } from "node:fs";

const program = new URL("../dist/sazabi-service.js", import.meta.url);
if (existsSync(program)) {
  process.setSourceMapsEnabled(true);
  const { main } = await import(program);
  await main(process.argv.slice(2));
} else {
  process.stderr.write("sazabi-service is not built yet. Run `npm run build` at the root of the repository first.\n");
  process.exitCode = 1;
}
