import { main } from "../../src/move-logs.ts";

// The command as operators run it, in a process of its own, for tests that kill it.
await main();
