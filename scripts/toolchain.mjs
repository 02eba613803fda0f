// Installs and builds what is stale, with nothing but Node and npm. It runs before the first install, so it uses
// only what Node brings.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { delimiter, dirname, join } from "node:path";
import { root, runProgram, runTool, SetupError, say } from "./processes.mjs";
import { withLock } from "./setup-lock.mjs";

const pnpm = "pnpm@10.34.9";

/** Ignored by git: the lock, and the stamps of what was built. */
const stateDir = join(root, ".sazabi");
const installStamp = join(root, "node_modules", ".sazabi-install");

/** A package that has one of these is built: by its own script, or by the compiler. */
const buildFiles = ["build.mjs", "tsconfig.build.json"];

/** Dependencies as the lockfile says, and every package built from its sources as they are now. */
export async function ensureReady() {
  // The usual start: nothing is written, and nothing asks the network.
  if (!(await isInstallStale()) && (await stalePackages()).length === 0) return;
  await withLock(join(stateDir, "setup.lock"), async () => {
    await ensureInstalled();
    await ensureBuilt();
  });
}

/** What a folder outside of the workspace needs, as its own lockfile says. */
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
  // Development dependencies too, whatever NODE_ENV says: the compiler is one of them.
  const flags = ["--frozen-lockfile", "--prefer-offline", "--prod=false", "--config.confirm-modules-purge=false"];
  let output = "";
  const code = await npmExec(["install", ...flags, "--reporter=append-only"], (chunk) => {
    process.stderr.write(chunk);
    output = (output + chunk).slice(-100_000);
  });
  if (code !== 0) throw new SetupError(explainInstall(output));
  await writeFile(installStamp, await installHash());
}

/** Each package after those it stands on, and side by side where they do not meet. */
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

/** Changes when an install could give something else. */
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

/** Those that are built, each after the ones it stands on. */
async function workspacePackages() {
  const byName = new Map();
  for (const dir of (await packageDirs()).filter((dir) => buildFiles.some((file) => existsSync(join(dir, file))))) {
    const { name, private: isPrivate, ...manifest } = JSON.parse(await readFile(join(dir, "package.json"), "utf8"));
    const stamp = join(stateDir, "built", name.replace("/", "-"));
    byName.set(name, { name, dir, isPrivate, manifest, stamp });
  }
  for (const workspacePackage of byName.values()) {
    const { dependencies = {}, devDependencies = {} } = workspacePackage.manifest;
    // A public package that is needed to develop becomes part of the output; a private one is for tests.
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

/** Of a package's own sources and of those whose types it is compiled against, installed ones included. */
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

/** Made beside its place and renamed: an interrupted build leaves the last one, and deleted sources leave nothing. */
async function build(workspacePackage) {
  const { name, dir, stamp } = workspacePackage;
  const [fresh, current, old] = ["dist.new", "dist", "dist.old"].map((folder) => join(dir, folder));
  const before = await buildHash(workspacePackage); // An edit during the build leaves it stale.
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

/** pnpm, run by npm, so that nobody has to install it. */
async function npmExec(args, onOutput) {
  const npm = findNpm();
  if (!npm) throw new SetupError("npm was not found. It comes with Node: put it on the PATH, or run `npm start`.");
  const command = [...npm, "exec", "--yes", `--package=${pnpm}`, "--", "pnpm", ...args];
  return runProgram(command[0], command.slice(1), { stdio: ["ignore", "pipe", "pipe"], onOutput });
}

/** The npm that runs us, else the one beside this Node, else one on the PATH. */
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
