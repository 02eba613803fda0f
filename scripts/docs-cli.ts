// `npm run docs:cli`: writes what docs/cli.md says of the commands, from the commands.
import { readFileSync, writeFileSync } from "node:fs";
import { renewCliPage } from "./cli-page.ts";

const file = new URL("../docs/cli.md", import.meta.url);
writeFileSync(file, await renewCliPage(readFileSync(file, "utf8")));
