import { main } from "../../src/main.ts";

// The service as it is deployed, in a process of its own, for tests that stop, kill or skew it.
await main();
