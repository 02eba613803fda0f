import { main } from "../../src/sazabi-service.ts";

// The operator's program as it is deployed, in a process of its own.
await main(process.argv.slice(2));
