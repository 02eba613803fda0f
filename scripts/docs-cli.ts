// `npm run docs:cli`: generates the reference of the commands in docs/cli.md.
import { readFileSync, writeFileSync } from "node:fs";
import { renewCliPage } from "./cli-page.ts";

const file = new URL("../docs/cli.md", import.meta.url);
writeFileSync(file, await renewCliPage(readFileSync(file, "utf8")));
