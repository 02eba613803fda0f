// Tests what a customer installs. Packs and inspects both public packages, installs them in an empty folder without
// install scripts, and uses them against the real service.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openEmbeddedPostgres } from "../packages/service/src/embedded-postgres.ts";
import { startSubject } from "./bench/harness.ts";

const maxInstalledMiB = 8;
const pnpm = "pnpm@10.34.9";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const work = mkdtempSync(join(tmpdir(), "sazabi-packages-"));
execFileSync("chmod", ["755", work]); // PostgreSQL's user needs access to the data below.
const failures: string[] = [];
let checks = 0;
try {
  const [sdk, cli] = [pack("sdk"), pack("cli")];
  for (const file of [sdk, cli]) check(`publint ${file}`, npmExec("publint@0.3.25", ["publint", "--strict", file]));
  const types = npmExec("@arethetypeswrong/cli@0.18.5", ["attw", "--profile", "esm-only", sdk]);
  check("types of the SDK resolve", types);
  const installed = install("everything", [sdk, cli]);
  expectSize(installed);
  for (const name of ["@sazabi/sdk", "sazabi"]) {
    for (const file of ["LICENSE", "README.md"]) {
      expect(`${name} comes with its ${file}`, existsSync(join(installed, "node_modules", name, file)));
    }
  }
  check(
    "the SDK loads",
    run(installed, process.execPath, [
      "-e",
      'import("@sazabi/sdk").then(({ Sazabi }) => new Sazabi({ publicKey: "" })).catch((e) => process.exit(e instanceof TypeError ? 0 : 1))',
    ]),
  );
  // Installed alone, because it depends on no other package of the repository.
  await use(install("cli", [cli]));
} finally {
  rmSync(work, { recursive: true, force: true });
}
for (const failure of failures) console.error(`FAILED  ${failure}`);
console.log(`${checks - failures.length} of ${checks} checks of the packages passed.`);
process.exitCode = failures.length === 0 ? 0 : 1;

/** Returns the tarball that would be published. */
function pack(name: string): string {
  const folder = join(work, `packed-${name}`);
  npmExec(pnpm, ["pnpm", "pack", "--pack-destination", folder], join(root, "packages", name));
  const [file] = readdirSync(folder);
  return join(folder, file as string);
}

function install(name: string, tarballs: readonly string[]): string {
  const folder = join(work, name);
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), "{}");
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
  check(`npm install of ${name}`, run(folder, "npm", ["install", ...flags, ...tarballs]));
  return folder;
}

function expectSize(folder: string): void {
  const files = readdirSync(join(folder, "node_modules"), { recursive: true, withFileTypes: true });
  const sizes = files.filter((file) => file.isFile()).map((file) => statSync(join(file.parentPath, file.name)).size);
  const mebibytes = sizes.reduce((sum, size) => sum + size, 0) / 2 ** 20;
  console.log(`ci: ${mebibytes.toFixed(1)} MiB installed`);
  expect(`at most ${maxInstalledMiB} MiB are installed, not ${mebibytes.toFixed(1)}`, mebibytes <= maxInstalledMiB);
}

/** Uses the command line like a new user, on a machine without a keychain. */
async function use(folder: string): Promise<void> {
  const data = join(work, "data");
  mkdirSync(data, { mode: 0o755 });
  const postgres = await openEmbeddedPostgres({ dataDir: data });
  try {
    const program = new URL("bench/intake-service.mjs", import.meta.url);
    const service = await startSubject(program, { DATABASE_URL: postgres.url, DATA_DIR: data });
    const { secretKey } = service.started["firstKeys"] as { secretKey: string };
    const sazabi = (argv: readonly string[], stdin = "", env: NodeJS.ProcessEnv = {}) =>
      run(folder, join("node_modules", ".bin", "sazabi"), argv, stdin, {
        PATH: process.env.PATH,
        HOME: join(work, "home"),
        SAZABI_API_URL: service.url,
        ...env,
      });

    check("sazabi --version", sazabi(["--version"]), /^sazabi \d+\.\d+\.\d+\n$/);
    check("sazabi --help", sazabi(["--help"]), /Usage: sazabi/);
    check("sazabi keys --help", sazabi(["keys", "list", "--help"]), /Usage: sazabi keys list/);
    check("sazabi keys inspect", sazabi(["keys", "inspect"], secretKey), /well-formed secret key/);

    const login = ["auth", "login", "--key", "-"];
    refuse("a login where there is no D-Bus", sazabi(login, secretKey), 4, /no D-Bus.*--store file/);
    const nowhere = sazabi([...login, "--store", "file"], secretKey, { HOME: "/proc/none" });
    refuse("a login where HOME cannot be written", nowhere, 1, /Cannot write \/proc\/none.*SAZABI_CONFIG_DIR/);
    const withKey = { HOME: "/proc/none", SAZABI_SECRET_KEY: secretKey };
    check("a query where HOME cannot be written", sazabi(["logs", "query"], "", withKey));

    check("sazabi auth login --store file", sazabi([...login, "--store", "file"], secretKey), /plain text in/);
    check("sazabi logs send", sazabi(["logs", "send", "--service", "installed"], "ERROR one\n"), /^1 accepted/);
    check("sazabi logs query", sazabi(["logs", "query", "level:error service:installed"]), /ERROR one\n$/);
    await service.close();
  } finally {
    await postgres.close();
  }
}

interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(cwd: string, program: string, argv: readonly string[], stdin = "", env = process.env): Run {
  const { status, stdout, stderr, error } = spawnSync(program, argv, { cwd, env, input: stdin, encoding: "utf8" });
  return { code: status, out: stdout ?? "", err: error ? String(error) : stderr };
}

/** Runs a program of a package that is downloaded for this and is no dependency of the repository. */
function npmExec(name: string, command: readonly string[], cwd = work): Run {
  return run(cwd, "npm", ["exec", "--yes", `--package=${name}`, "--", ...command]);
}

function check(what: string, { code, out, err }: Run, expected = /^/): void {
  expect(`${what}: exit code ${code}\n${out}${err}`, code === 0 && expected.test(out));
}

function refuse(what: string, { code, out, err }: Run, expectedCode: number, words: RegExp): void {
  expect(`${what} is refused: exit code ${code}\n${out}${err}`, code === expectedCode && words.test(err));
}

function expect(what: string, holds: boolean): void {
  checks++;
  if (!holds) failures.push(what);
}
