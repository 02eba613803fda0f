// Violates each boundary once in a scratch copy and verifies that the checks report it, because an untested rule may
// never match.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface Seed {
  readonly promise: string;
  readonly file: string;
  readonly text: string;
  /** A text in the line that the check prints about the file; undefined if no line is expected. */
  readonly caught?: string;
}

const loadsDashboard = 'export const load = () => import("@sazabi/dashboard");\n';

/** Reported by Biome. */
const imports: readonly Seed[] = [
  {
    promise: "the SDK imports nothing, not even from Node",
    file: "packages/sdk/src/seed.ts",
    text: 'import { readFileSync } from "node:fs";\nexport const seed = readFileSync;\n',
    caught: "The SDK depends on nothing.",
  },
  {
    promise: "the SDK may import its own files",
    file: "packages/sdk/src/allowed.ts",
    text: 'export { errorStatus as seed } from "./protocol/errors.ts";\n',
  },
  {
    promise: "the service knows the protocol, not the SDK's client",
    file: "packages/service/src/auth/seed.ts",
    text: 'export { SazabiAdmin as seed } from "@sazabi/sdk";\n',
    caught: "Of our packages the service knows only @sazabi/sdk/protocol",
  },
  {
    promise: "the service does not know the CLI",
    file: "packages/service/src/logs/seed.ts",
    text: 'export * from "sazabi";\n',
    caught: "Of our packages the service knows only @sazabi/sdk/protocol",
  },
  {
    promise: "the service may import the protocol",
    file: "packages/service/src/auth/allowed.ts",
    text: 'export { errorStatus as seed } from "@sazabi/sdk/protocol";\n',
  },
  {
    promise: "only main.ts mounts the dashboard",
    file: "packages/service/src/seed.ts",
    text: loadsDashboard,
    caught: "main.ts mounts the dashboard",
  },
  { promise: "main.ts may mount the dashboard", file: "packages/service/src/main.ts", text: loadsDashboard },
  {
    promise: "a store does not know the HTTP framework",
    file: "packages/service/src/keys/store/seed-framework.ts",
    text: 'import { Hono } from "hono";\nexport const seed = new Hono();\n',
    caught: "A store knows SQL, not HTTP.",
  },
  ...["http/respond.ts", "auth/privileges.ts"].map((path) => ({
    promise: `a store does not know ${dirname(path)}/`,
    file: `packages/service/src/projects/${dirname(path)}-store.ts`,
    text: `export * from "../${path}";\n`,
    caught: "A store knows SQL, not HTTP.",
  })),
  ...["concurrency", "crypto", "db", "metrics", "net", "redaction"].map((folder) => ({
    promise: `${folder}/ knows no feature`,
    file: `packages/service/src/${folder}/seed.ts`,
    text: 'export * from "../keys/generate.ts";\n',
    caught: "A foundation knows no feature and no HTTP.",
  })),
  ...["http/seed", "keys/routes/seed", "threads/routes"].flatMap((file) =>
    ["pg", `${"../".repeat(file.split("/").length - 1)}db/sql.ts`].map((module, index) => ({
      promise: `${file} does not use ${module}`,
      file: `packages/service/src/${file.replace("threads", `seed-${index}`)}${file.endsWith("routes") ? "" : index}.ts`,
      text: `import * as seed from "${module}";\nexport { seed };\n`,
      caught: "SQL is in a store, not in a route.",
    })),
  ),
  ...["../keys/routes/me.ts", "../threads/routes.ts"].map((path, index) => ({
    promise: `nothing but app.ts imports ${path}`,
    file: `packages/service/src/projects/seed-${index}.ts`,
    text: `export * from "${path}";\n`,
    caught: "Routes are mounted by app.ts",
  })),
  {
    promise: "the CLI reaches the service through the SDK",
    file: "packages/cli/src/seed.ts",
    text: 'export * from "@sazabi/service/main";\n',
    caught: "The CLI reaches the service through @sazabi/sdk",
  },
  {
    promise: "the CLI's tests may start a service",
    file: "packages/cli/test/seed.test.ts",
    text: 'export * from "@sazabi/service/testing";\n',
  },
  {
    promise: "no import cycles",
    file: "packages/cli/src/cycle-a.ts",
    text: 'import { b } from "./cycle-b.ts";\nexport const a = () => b();\n',
    caught: "noImportCycles",
  },
  {
    promise: "no import cycles, seen from the other side",
    file: "packages/cli/src/cycle-b.ts",
    text: 'import { a } from "./cycle-a.ts";\nexport const b = (): unknown => a();\n',
    caught: "noImportCycles",
  },
  {
    promise: "no import cycles of types",
    file: "packages/service/src/cycle-type-a.ts",
    text: 'import type { B } from "./cycle-type-b.ts";\nexport type A = { readonly b?: B };\n',
    caught: "noImportCycles",
  },
  {
    promise: "no import cycles of types, seen from the other side",
    file: "packages/service/src/cycle-type-b.ts",
    text: 'import type { A } from "./cycle-type-a.ts";\nexport type B = { readonly a?: A };\n',
    caught: "noImportCycles",
  },
  {
    promise: "no import cycles through what is loaded later",
    file: "packages/cli/src/cycle-lazy-a.ts",
    text: 'export const a = () => import("./cycle-lazy-b.ts");\n',
    caught: "noImportCycles",
  },
  {
    promise: "no import cycles through what is loaded later, seen from the other side",
    file: "packages/cli/src/cycle-lazy-b.ts",
    text: 'import { a } from "./cycle-lazy-a.ts";\nexport const b = (): unknown => a();\n',
    caught: "noImportCycles",
  },
  {
    promise: "no promise that nobody waits for, also one made in another file",
    file: "packages/service/src/auth/floating.ts",
    text: 'import { wait } from "./waiting.ts";\nexport function seed(): void {\n  wait();\n}\n',
    caught: "noFloatingPromises",
  },
  {
    promise: "a promise that is waited for",
    file: "packages/service/src/auth/waiting.ts",
    text: "export async function wait(): Promise<void> {\n  await Promise.resolve();\n}\n",
  },
];

/** Reported by the compiler. */
const compiled: readonly Seed[] = [
  {
    promise: "the SDK uses no global of Node",
    file: "packages/sdk/src/node-global.ts",
    text: "export const seed = process.env;\n",
    caught: "Cannot find name 'process'",
  },
  {
    promise: "a package uses only the packages it declares",
    file: "packages/service/src/undeclared.ts",
    text: 'import chalk from "chalk";\nexport const seed = chalk;\n',
    caught: "Cannot find module 'chalk'",
  },
  {
    promise: "a package does not reach into another's folder",
    file: "packages/cli/src/reaching.ts",
    text: 'export { ApiError as seed } from "../../service/src/errors.ts";\n',
    caught: "'rootDir'",
  },
];

/** Reported by knip. */
const unused: readonly Seed[] = [
  {
    promise: "no file that nobody imports",
    file: "packages/service/src/dead-file.ts",
    text: "export const seed = 1;\n",
    caught: "dead-file.ts",
  },
  {
    promise: "no export that nobody imports",
    file: "packages/service/src/half-used.ts",
    text: "export const used = 1;\nexport const deadExport = 2;\n",
    caught: "deadExport",
  },
  {
    promise: "a test is reason enough",
    file: "packages/service/test/half-used.test.ts",
    text: 'import { used } from "../src/half-used.ts";\nused;\n',
  },
];

/** Reported by check-folders.ts. */
const folders: readonly Seed[] = [
  {
    promise: "no cycles between folders",
    file: "packages/service/src/net/folder-cycle.ts",
    text: 'export type { Database as Seed } from "../db/database.ts";\n',
    caught: "imports packages/service/src/db/",
  },
  {
    promise: "no cycles between folders, seen from the other side",
    file: "packages/service/src/db/folder-cycle.ts",
    text: 'export const load = () => import("../net/origins.ts");\n',
    caught: "imports packages/service/src/net/",
  },
];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const scratch = mkdtempSync(join(tmpdir(), "sazabi-boundaries-"));
const failures: string[] = [];
try {
  copyRepository();
  sow(unused);
  check(unused, runTool("knip/bin/knip.js", ["--no-progress", "--no-config-hints"]));
  sow(folders);
  check(folders, runTool("tsx/dist/cli.mjs", ["scripts/check-folders.ts"]));
  sow(compiled);
  const compilers = ["sdk", "service", "cli"].map((name) =>
    runTool("typescript/bin/tsc", ["--noEmit", "-p", `packages/${name}/tsconfig.build.json`]),
  );
  check(compiled, compilers.join("\n"));
  sow(imports);
  check(
    imports,
    runTool("@biomejs/biome/bin/biome", ["lint", "--reporter=github", "--max-diagnostics=none", "packages"]),
  );
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
for (const failure of failures) console.error(failure);
const count = [imports, compiled, unused, folders].flat().length;
console.log(`${count - failures.length} of ${count} boundaries hold.`);
process.exitCode = failures.length === 0 ? 0 : 1;

function sow(seeds: readonly Seed[]): void {
  for (const { file, text } of seeds) {
    mkdirSync(dirname(join(scratch, file)), { recursive: true });
    writeFileSync(join(scratch, file), text);
  }
}

/**
 * Checks the tool's output. Reports of some seeds show that the tool ran, so a missing report of another is
 * significant.
 */
function check(seeds: readonly Seed[], said: string): void {
  for (const { promise, file, caught } of seeds) {
    const lines = said.split("\n").filter((line) => line.includes(file) && !line.includes("noUnused"));
    const holds = caught === undefined ? lines.length === 0 : lines.some((line) => line.includes(caught));
    if (!holds) failures.push(`Not so: ${promise} (${file})\n  ${lines.join("\n  ") || "Nothing was said about it."}`);
  }
}

function copyRepository(): void {
  for (const name of [
    "package.json",
    "pnpm-workspace.yaml",
    "tsconfig.json",
    "knip.json",
    "vitest.config.ts",
    "biome.json",
    ".gitignore",
  ]) {
    cpSync(join(root, name), join(scratch, name));
  }
  cpSync(join(root, "scripts"), join(scratch, "scripts"), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(scratch, "node_modules"));
  for (const name of readdirSync(join(root, "packages"))) {
    const [from, to] = [join(root, "packages", name), join(scratch, "packages", name)];
    cpSync(from, to, { recursive: true, filter: (path) => !/[/\\](node_modules|dist)$/.test(path) });
    symlinkSync(join(from, "node_modules"), join(to, "node_modules"));
  }
}

/** Returns the output of a tool in the scratch copy, whatever its exit code. */
function runTool(program: string, args: readonly string[]): string {
  const found = spawnSync(process.execPath, [join(root, "node_modules", program), ...args], {
    cwd: scratch,
    encoding: "utf8",
  });
  return found.stdout + found.stderr;
}
