import { main } from "../../src/admin-key.ts";

await main(process.argv.slice(2));
