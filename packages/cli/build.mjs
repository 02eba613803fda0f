// What is installed as `sazabi`: few files, because each costs Node half a millisecond, and CommonJS, because loading
// the first ES module costs four (docs/promises.md). `core.cjs` is what every command needs, `sdk.cjs` what every
// request needs; each `import()` in src leads to a file of its own with the rest of what it needs.
import { execFileSync } from "node:child_process";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, parse, relative } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const sourceOf = (name) => join(here, "src", name);
const sdk = join(here, "..", "sdk", "src", "index.ts");

/** Writes the command line to `outdir`. */
async function build(outdir) {
  const bundled = new Set();
  const placesOf = new Map();
  const bundle = async (input, name, plugins) => {
    const { metafile } = await esbuild.build({
      ...options,
      ...(typeof input === "string" ? { entryPoints: [input] } : { stdin: input }),
      ...(name ? { outfile: join(outdir, `${name}.cjs`) } : { write: false }),
      plugins: [commanderWithoutProcesses, ...plugins],
    });
    const [{ inputs }] = Object.values(metafile.outputs).filter(({ entryPoint }) => entryPoint !== undefined);
    const used = Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0);
    for (const file of name ? used : []) placesOf.set(file, [...(placesOf.get(file) ?? []), `${name}.cjs`]);
    for (const file of used) bundled.add(file.match(/.*\/node_modules\/(@[^/]+\/)?[^/]+\//)?.[0]);
    return used.map((file) => join(here, file));
  };
  const parts = new Parts();
  for (const [name, files] of Object.entries(sharedRoots)) parts.share(name, files);
  for (const name of ["core", "sdk"])
    parts.share(name, await bundle(parts.entryOf(name), undefined, [parts.plugin(name)]));
  parts.add(sourceOf("credentials/keychain-child.ts"));
  for (const [file, name] of parts.files) await bundle(file, name, [parts.plugin()]);
  // The shared ones come last, when it is known what the others need of them.
  for (const name of ["sdk", "core"]) await bundle(parts.entryOf(name), name, [parts.plugin(name)]);
  for (const file of await readdir(outdir)) if (file.endsWith(".cjs")) await requireParts(join(outdir, file));
  await checkTellingApart(placesOf);
  await writePages(outdir);
  await writeLicenses(join(outdir, "licenses.txt"), [...bundled].filter(Boolean).sort());
}

/** Of the packages of others that became part of the output, as they ask for. */
async function writeLicenses(path, folders) {
  const texts = [];
  for (const folder of folders) {
    const { name, version } = JSON.parse(await readFile(join(here, folder, "package.json"), "utf8"));
    const license = (await readdir(join(here, folder))).find((file) => /^licen[cs]e/i.test(file));
    if (!license) throw new Error(`${name} ${version} comes without the text of its license.`);
    texts.push(`${name} ${version}\n\n${(await readFile(join(here, folder, license), "utf8")).trim()}\n`);
  }
  await writeFile(path, texts.join(`\n${"-".repeat(80)}\n\n`));
}

/** A class that exists twice is two classes, and `instanceof` of the one does not know the other's. */
async function checkTellingApart(placesOf) {
  const texts = await Promise.all(
    [...placesOf.keys()]
      .filter((file) => /^(src|\.\.\/sdk)\//.test(file))
      .map(async (file) => [file, await readFile(join(here, file), "utf8")]),
  );
  const told = new Set(texts.flatMap(([, text]) => [...text.matchAll(/instanceof (\w+)/g)].map(([, name]) => name)));
  for (const [file, text] of texts) {
    const classes = [...text.matchAll(/^(?:export )?class (\w+)/gm)]
      .map(([, name]) => name)
      .filter((name) => told.has(name));
    const places = placesOf.get(file);
    if (classes.length > 0 && places.length > 1) {
      throw new Error(`${classes.join(", ")} of ${file} would be in ${places.join(" and ")}: add it to a shared root.`);
    }
  }
}

/** Our own parts are required, so that the loader of ES modules is not started. As long a word, for the source map. */
async function requireParts(file) {
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace(/\bimport\((?="\.\/[\w-]+\.cjs"\))/g, "lazily("));
}

/** What bin/sazabi.cjs prints without loading anything. */
async function writePages(outdir) {
  for (const name of ["version", "help"]) {
    const program = ["-e", "require(process.argv[1]).main()", join(outdir, "core.cjs"), `--${name}`];
    await writeFile(join(outdir, `${name}.txt`), execFileSync(process.execPath, program));
  }
}

const options = {
  absWorkingDir: here,
  bundle: true,
  platform: "node",
  target: "node20",
  format: "cjs",
  banner: { js: "const lazily = (file) => Promise.resolve().then(() => require(file));" },
  define: { "import.meta.dirname": "__dirname" },
  conditions: ["sazabi-source"],
  // One is native, the other rarely needed and as big as all the rest.
  external: ["@napi-rs/keyring", "undici"],
  sourcemap: true,
  sourcesContent: false,
  // Less to read for Node; `readableStack` turns a stack trace back into lines of src.
  minify: true,
  metafile: true,
  logLevel: "warning",
};

/** Each is loaded whole, with all that it imports. `keys inspect` asks no service: here, it needs nothing else. */
const sharedRoots = {
  core: ["main.ts", "run.ts", "program.ts", "session.ts", "proxy-error.ts", "commands/keys-inspect.ts"].map(sourceOf),
  sdk: [sdk],
};

/** Which source goes to which file of the output. */
class Parts {
  /** Sources that something imports with `import()`, and the name of their output. */
  files = new Map();
  /** Sources that live in one shared output, and its name. They exist once: errors are told apart by their class. */
  #homes = new Map();
  /** Of each shared output, what others import from it. */
  #wanted = new Map();

  add(file, name = parse(file).name) {
    if (!this.files.has(file) && [...this.files.values(), ...this.#wanted.keys()].includes(name)) {
      throw new Error(`Two parts would be called ${name}.cjs; one of them is ${file}.`);
    }
    this.files.set(file, name);
    return `./${this.files.get(file)}.cjs`;
  }

  share(name, files) {
    if (!this.#wanted.has(name)) this.#wanted.set(name, new Set(files));
    for (const file of files) if (!this.#homes.has(file)) this.#homes.set(file, name);
  }

  /** A module that has each source which others want as a member. */
  entryOf(name) {
    const contents = [...this.#wanted.get(name)].map(
      (file) => `export * as ${memberOf(file)} from ${JSON.stringify(file)};`,
    );
    if (name === "core") contents.push(`export { main } from ${JSON.stringify(sourceOf("main.ts"))};`);
    return { contents: contents.join("\n"), resolveDir: here };
  }

  /** For the build of the shared output `name`, or of any other. */
  plugin(name) {
    return {
      name: "parts",
      setup: (build) => {
        build.onResolve(
          { filter: /^(\.|(@sazabi\/sdk|chalk|commander|conf)$)/, namespace: "file" },
          async ({ path, ...args }) => {
            if (args.pluginData === "resolving") return undefined;
            const found = await build.resolve(path, { ...args, pluginData: "resolving" });
            const home = this.#homes.get(found.path);
            // The core takes what it needs of the SDK into itself.
            if (name === "core" && args.kind !== "dynamic-import") return found;
            if (home !== undefined && home !== name) {
              this.#wanted.get(home).add(found.path);
              return { path: `./${home}.cjs#${memberOf(found.path)}`, namespace: "shared" };
            }
            const isPart = args.kind === "dynamic-import" && home === undefined;
            const packageName = path.startsWith(".") ? undefined : path;
            return isPart ? { path: this.add(found.path, packageName), external: true } : found;
          },
        );
        build.onLoad({ filter: /./, namespace: "shared" }, ({ path }) => {
          const [file, member] = path.split("#");
          return { contents: `module.exports = require("${file}").${member};` };
        });
        build.onResolve({ filter: /./, namespace: "shared" }, ({ path }) => ({ path, external: true }));
      },
    };
  }
}

function memberOf(file) {
  return relative(here, file).replace(/\W+/g, "_");
}

/** Commander can start other programs for its commands; ours do not, and Node's module for that takes a while. */
const commanderWithoutProcesses = {
  name: "commander",
  setup(build) {
    build.onResolve({ filter: /^node:child_process$/ }, ({ importer }) =>
      /[/\\]commander[/\\]/.test(importer) ? { path: "none", namespace: "none" } : undefined,
    );
    build.onLoad({ filter: /./, namespace: "none" }, () => ({ contents: "" }));
  },
};

await build(process.argv[2] ?? join(here, "dist"));
