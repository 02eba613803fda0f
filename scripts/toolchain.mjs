// Installs and builds what is stale, with Node and npm only, because it runs before the first install.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { root, runProgram, runTool, SetupError, say } from "./processes.mjs";
import { withLock } from "./setup-lock.mjs";

const pnpm = "pnpm@10.34.9";

/** Ignored by git. Contains the lock and the hashes of the last builds. */
const stateDir = join(root, ".sazabi");
const installStamp = join(root, "node_modules", ".sazabi-install");

/** A package that has one of these files is built, by its own script or by the compiler. */
const buildFiles = ["build.mjs", "tsconfig.build.json"];

/** Installs the dependencies of the lockfile and builds every package whose sources changed. */
export async function ensureReady() {
  // The usual start: writes nothing and uses no network.
  if (!(await isInstallStale()) && (await stalePackages()).length === 0) return;
  await withLock(join(stateDir, "setup.lock"), async () => {
    await ensureInstalled();
    await ensureBuilt();
  });
}

/** Installs the dependencies of a folder outside of the workspace from its own lockfile. */
export async function installFolder(dir) {
  const flags = ["--frozen-lockfile", "--prefer-offline", "--ignore-workspace", "--reporter=append-only"];
  let output = "";
  const code = await npmExec(["install", "--dir", dir, ...flags], (chunk) => {
    output += chunk;
  });
  if (code !== 0) throw new SetupError(explainInstall(output));
}

async function ensureInstalled() {
  if (!(await isInstallStale())) return;
  const isFirst = !existsSync(join(root, "node_modules", ".pnpm"));
  say(isFirst ? "Installing dependencies (first time: about a minute) …" : "Updating dependencies …");
  // Includes development dependencies whatever NODE_ENV is, because the compiler is one of them.
  const flags = ["--frozen-lockfile", "--prefer-offline", "--prod=false", "--config.confirm-modules-purge=false"];
  let output = "";
  const code = await npmExec(["install", ...flags, "--reporter=append-only"], (chunk) => {
    process.stderr.write(chunk);
    output = (output + chunk).slice(-100_000);
  });
  if (code !== 0) throw new SetupError(explainInstall(output));
  await writeFile(installStamp, await installHash());
}

/** Builds each package after its dependencies, and independent packages in parallel. */
async function ensureBuilt() {
  const stale = await stalePackages();
  if (stale.length === 0) return;
  say(`Building ${stale.map(({ name }) => name).join(", ")} …`);
  const building = new Map();
  for (const workspacePackage of stale) {
    const needed = Promise.all(workspacePackage.needs.map((name) => building.get(name)));
    building.set(
      workspacePackage.name,
      needed.then(() => build(workspacePackage)),
    );
  }
  const results = await Promise.allSettled(building.values());
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

async function isInstallStale() {
  const installed = await readFile(installStamp, "utf8").catch(() => undefined);
  return installed !== (await installHash());
}

/** Returns a hash that changes when an install could have a different result. */
async function installHash() {
  const manifests = (await packageDirs()).map((dir) => join(dir, "package.json"));
  const files = ["package.json", "pnpm-lock.yaml", "pnpm-workspace.yaml"].map((name) => join(root, name));
  return hash([...files, ...manifests], pnpm, process.platform, process.arch, process.versions.modules);
}

async function stalePackages() {
  const stale = [];
  for (const workspacePackage of await workspacePackages()) {
    const built = await readFile(workspacePackage.stamp, "utf8").catch(() => undefined);
    const isBuilt = built === (await buildHash(workspacePackage)) && existsSync(join(workspacePackage.dir, "dist"));
    if (!isBuilt) stale.push(workspacePackage);
  }
  return stale;
}

/** Returns the packages to build, each after its dependencies. */
async function workspacePackages() {
  const byName = new Map();
  for (const dir of (await packageDirs()).filter((dir) => buildFiles.some((file) => existsSync(join(dir, file))))) {
    const { name, private: isPrivate, ...manifest } = JSON.parse(await readFile(join(dir, "package.json"), "utf8"));
    const stamp = join(stateDir, "built", name.replace("/", "-"));
    byName.set(name, { name, dir, isPrivate, manifest, stamp });
  }
  for (const workspacePackage of byName.values()) {
    const { dependencies = {}, devDependencies = {} } = workspacePackage.manifest;
    // A public development dependency is bundled into the output; a private one is for tests.
    const developed = Object.keys(devDependencies).filter((name) => byName.get(name)?.isPrivate === undefined);
    const names = [...Object.keys(dependencies), ...developed];
    workspacePackage.needs = names.filter((name) => byName.has(name));
  }
  const ordered = new Set();
  const add = (workspacePackage) => {
    workspacePackage.neededDirs = workspacePackage.needs.map((name) => byName.get(name).dir);
    for (const name of workspacePackage.needs) add(byName.get(name));
    ordered.add(workspacePackage);
  };
  for (const workspacePackage of byName.values()) add(workspacePackage);
  return [...ordered];
}

async function packageDirs() {
  const dirs = (await readdir(join(root, "packages"))).sort().map((name) => join(root, "packages", name));
  return dirs.filter((dir) => existsSync(join(dir, "package.json")));
}

/** Returns a hash of a package's sources and of its dependencies' types, installed ones included. */
async function buildHash({ dir, neededDirs }) {
  const sources = await Promise.all([dir, ...neededDirs].map((from) => filesUnder(join(from, "src"))));
  const settings = [join(root, "tsconfig.json"), join(dir, "package.json")];
  for (const file of buildFiles) if (existsSync(join(dir, file))) settings.push(join(dir, file));
  return hash([...sources.flat(), ...settings], await readFile(installStamp, "utf8").catch(() => ""));
}

async function filesUnder(dir) {
  const entries = await readdir(dir, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name));
}

async function hash(files, ...more) {
  const sum = createHash("sha256").update(more.join("\n"));
  for (const file of files.sort()) sum.update(`\n${file.slice(root.length)}\n`).update(await readFile(file));
  return sum.digest("hex");
}

/**
 * Builds in a temporary folder and renames it. An interrupted build keeps the last one, and deleted sources leave no
 * output.
 */
async function build(workspacePackage) {
  const { name, dir, stamp } = workspacePackage;
  const [fresh, current, old] = ["dist.new", "dist", "dist.old"].map((folder) => join(dir, folder));
  const before = await buildHash(workspacePackage); // An edit during the build keeps the package stale.
  await rm(fresh, { recursive: true, force: true });
  if ((await runBuild(dir, fresh)) !== 0) {
    await rm(fresh, { recursive: true, force: true });
    throw new SetupError(`Building ${name} failed; the compiler says why, above.`);
  }
  await rm(old, { recursive: true, force: true });
  if (existsSync(current)) await rename(current, old);
  await rename(fresh, current);
  await rm(old, { recursive: true, force: true });
  await mkdir(dirname(stamp), { recursive: true });
  await writeFile(stamp, before);
}

function runBuild(dir, outDir) {
  const own = join(dir, "build.mjs");
  if (existsSync(own)) return runProgram(process.execPath, [own, outDir], { stdio: "inherit" });
  return runTool("typescript/bin/tsc", ["-p", join(dir, "tsconfig.build.json"), "--outDir", outDir]);
}

/** Runs pnpm through npm, so that nobody has to install it. */
async function npmExec(args, onOutput) {
  const npm = findNpm();
  if (!npm) throw new SetupError("npm was not found. It comes with Node: put it on the PATH, or run `npm start`.");
  const command = [...npm, "exec", "--yes", `--package=${pnpm}`, "--", "pnpm", ...args];
  return runProgram(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"], onOutput });
}

/** Returns the npm that runs this script, else the one next to this Node, else one on the PATH. */
function findNpm() {
  const running = process.env.npm_execpath?.endsWith("npm-cli.js") ? process.env.npm_execpath : "";
  const beside = join(dirname(process.execPath), "..", "lib", "node_modules", "npm", "bin", "npm-cli.js");
  const script = [running, beside].find((file) => existsSync(file));
  if (script) return [process.execPath, script];
  const onPath = (process.env.PATH ?? "").split(delimiter).map((dir) => join(dir, "npm"));
  const program = onPath.find((file) => existsSync(file));
  return program && [program];
}

function explainInstall(output) {
  if (/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ERR_SOCKET_TIMEOUT|FETCH_FAIL/.test(output)) {
    return "The dependencies could not be downloaded. Check the network connection and start again.";
  }
  if (/ENOSPC/.test(output)) return "The dependencies could not be installed: the disk is full.";
  if (/EROFS|EACCES|EPERM/.test(output)) {
    return "The dependencies could not be installed: a folder cannot be written to; its name is above.";
  }
  if (/OUTDATED_LOCKFILE/.test(output)) {
    return `pnpm-lock.yaml does not fit the package.json files. Run: npx --yes ${pnpm} install`;
  }
  return "Installing the dependencies failed; the reason is above.";
}
