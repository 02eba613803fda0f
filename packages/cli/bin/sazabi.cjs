#!/usr/bin/env node
// First of all: a key among the arguments must not stay in the process list.
if (process.argv.some((argument) => /[sp]k_live_|sazabi_(secret|public)_/.test(argument))) process.title = "sazabi";

const { readFileSync, writeSync } = require("node:fs");

/** What is printed as it was written when this was built. */
const pages = { "--version": "version", "-v": "version", "-V": "version", "--help": "help", "-h": "help" };

if (!printPage(process.argv.slice(2))) {
  try {
    void require("../dist/core.cjs").main();
  } catch (error) {
    if (error?.code !== "MODULE_NOT_FOUND" || error.requireStack?.[0] !== __filename) throw error;
    process.stderr.write("sazabi is not built yet. Run `npm run build` at the root of the repository first.\n");
    process.exitCode = 1;
  }
}

/** False when that is not all there is to do, or not possible so simply. */
function printPage([word = "--help", ...more]) {
  const name = Object.hasOwn(pages, word) && more.length === 0 && pages[word];
  // On a narrow terminal the help is set anew.
  if (!name || (name === "help" && process.stdout.columns < 80)) return false;
  try {
    writeSync(1, readFileSync(`${__dirname}/../dist/${name}.txt`));
    return true;
  } catch {
    return false;
  }
}
