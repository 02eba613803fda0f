import { main } from "../../src/commands/admin-key.ts";

await main(process.argv.slice(2));
