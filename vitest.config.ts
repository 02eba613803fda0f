import { defineConfig } from "vitest/config";

// Workspace packages resolve to their source: nothing has to be built to run a test.
const conditions = ["sazabi-source", "node"];
const fromSource = { resolve: { conditions }, ssr: { resolve: { conditions } } };

// In CI a test that fails is tried once more, and named at the end of the run: machines there are shared, and a test that
// lost a race on a busy one says nothing of the change. On one's own machine it fails at once.
const retry = process.env["CI"] ? 1 : 0;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        ...fromSource,
        test: {
          name: "unit",
          include: ["packages/*/test/unit/**/*.test.ts"],
          // Functions without a world around them: to load all modules anew for each file takes as long as the tests.
          isolate: false,
          testTimeout: 60_000,
          retry,
        },
      },
      {
        ...fromSource,
        test: {
          name: "postgres",
          include: [
            "packages/service/test/*.test.ts",
            "packages/service/test/proofs/*.test.ts",
            "packages/cli/test/acceptance/**/*.test.ts",
            "packages/sdk/test/acceptance/**/*.test.ts",
          ],
          globalSetup: "packages/service/test/support/postgres.ts",
          // Tests start real servers and real processes, on a machine that may be busy.
          testTimeout: 60_000,
          retry,
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
