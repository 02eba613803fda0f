import { defineConfig } from "vitest/config";

// Workspace packages resolve to their source: nothing has to be built to run a test.
const conditions = ["sazabi-source", "node"];
const fromSource = { resolve: { conditions }, ssr: { resolve: { conditions } } };

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      {
        ...fromSource,
        test: {
          name: "unit",
          include: ["packages/*/test/unit/**/*.test.ts"],
          testTimeout: 60_000,
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
          hookTimeout: 60_000,
        },
      },
    ],
  },
});
