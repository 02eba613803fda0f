import { main } from "../../src/commands/move-logs.ts";

// The command as operators run it, in a process of its own, for tests that kill it.
await main();
