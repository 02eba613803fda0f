import { spawnSync } from "node:child_process";
import { existsSync, openSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const main = new URL("../../src/main.ts", import.meta.url).href;
const root = fileURLToPath(new URL("../../../../", import.meta.url));

test.skipIf(!existsSync("/dev/full")).each([[["--version"]], [["--help"]]])(
  "%j to a full disk ends with one line",
  { timeout: 30_000 },
  (argv) => {
    const code = `import(${JSON.stringify(main)}).then(({ main }) => main())`;
    const node = ["--conditions=sazabi-source", "--import", "tsx", "--input-type=module", "-e", code, "--", ...argv];
    const { status, stderr } = spawnSync(process.execPath, node, {
      cwd: root,
      stdio: ["ignore", openSync("/dev/full", "w"), "pipe"],
      encoding: "utf8",
    });
    expect(stderr).toBe("error: Cannot write the output (no space left on device).\n");
    expect(status).toBe(1);
  },
);
