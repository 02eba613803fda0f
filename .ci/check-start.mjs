// `npm start` as a newcomer meets it: in a fresh copy, with an empty data folder; twice at once, and once more.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const home = await mkdtemp(join(tmpdir(), "sazabi-start-"));
const started = [];
const [dataDir, otherDataDir] = [join(home, "data"), join(home, "other-data")];

try {
  execFileSync("chmod", ["755", home]); // On the way to the data, for PostgreSQL's user.
  const clone = join(home, "clone");
  await copyRepository(clone);

  // The second of them waits for the install and the build of the first.
  const [first, other] = await Promise.all([start(clone, dataDir), start(clone, otherDataDir)]);
  for (const run of [first, other]) {
    for (const name of ["secret key  sk_live_", "public key  pk_live_"]) expectPrinted(run, name, true);
    await expectHealthy(run);
    await interrupt(run);
  }

  const second = await start(clone, dataDir);
  for (const name of ["sk_live_", "pk_live_"]) expectPrinted(second, name, false);
  await expectHealthy(second);
  await interrupt(second);
  console.log(`ci: first start ${first.seconds} s, second ${second.seconds} s`);
} finally {
  // Of a run that failed half-way.
  for (const { child } of started) if (child.exitCode === null && child.signalCode === null) await endGroup(child);
  await rm(home, { recursive: true, force: true });
}

async function copyRepository(to) {
  const files = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  for (const file of files.split("\n").filter(Boolean)) {
    await mkdir(dirname(join(to, file)), { recursive: true });
    await cp(join(root, file), join(to, file)).catch((error) => {
      if (error.code !== "ENOENT") throw error; // Deleted, and not yet so in git.
    });
  }
}

/** Resolves when the service says where it listens. */
async function start(clone, dataDir) {
  const startedAt = performance.now();
  const child = spawn("npm", ["start"], {
    cwd: clone,
    env: { ...process.env, SAZABI_DATA_DIR: dataDir, PORT: "0" },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true, // A process group, as a terminal gives it one.
  });
  const run = { child, dataDir, output: "" };
  started.push(run);
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      run.output += chunk;
      process.stdout.write(String(chunk).replace(/([sp]k_live_)\w+/g, "$1…"));
    });
  }
  while (!run.url) {
    if (child.exitCode !== null) throw new Error(`npm start ended with exit code ${child.exitCode}.`);
    if (performance.now() - startedAt > 240_000) throw new Error("npm start does not get ready.");
    await sleep(20);
    run.url = /listening on (http:\S+)/.exec(run.output)?.[1];
  }
  run.seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  return run;
}

function expectPrinted({ output }, text, expected) {
  if (output.includes(text) !== expected) throw new Error(`"${text}" was ${expected ? "not " : ""}printed.`);
}

async function expectHealthy({ url }) {
  const { status } = await fetch(`${url}/healthz`);
  if (status !== 200) throw new Error(`GET /healthz answered ${status}.`);
}

/** Ctrl-C: a signal to everything in the terminal. Then nothing of it may be left. */
async function interrupt({ child, dataDir }) {
  const postgres = Number.parseInt(await readFile(join(dataDir, "postgres", "postmaster.pid"), "utf8"), 10);
  await endGroup(child);
  for (const pid of [child.pid, postgres]) {
    const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
    if (command !== "") throw new Error(`Still running after SIGINT: ${command.replaceAll("\0", " ")}`);
  }
}

async function endGroup(child) {
  process.kill(-child.pid, "SIGINT");
  await Promise.race([once(child, "close"), sleep(15_000, undefined, { ref: false })]);
}
