// Writes the software bill of materials in CycloneDX 1.6: every package of pnpm-lock.yaml with its hash and its
// dependencies. It contains no time and no random serial number, so the same lockfile gives the same bytes. Usage:
// sbom.ts <file>
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ErrorObject, ValidateFunction } from "ajv";
import { parse } from "yaml";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

interface Dependencies {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

type Importer = Readonly<Record<string, Readonly<Record<string, { readonly version: string }>>>>;

interface Lockfile {
  readonly lockfileVersion: string;
  readonly importers: Readonly<Record<string, Importer>>;
  readonly packages: Readonly<Record<string, { readonly resolution?: { readonly integrity?: string } }>>;
  readonly snapshots: Readonly<Record<string, Dependencies>>;
}

/** Development dependencies that are bundled into the command line. */
const builtIn = new Set(["chalk", "commander", "conf"]);

const [file] = process.argv.slice(2);
if (!file) throw new Error("Usage: sbom.ts <file>");
const lockfile = parse(readFileSync(join(root, "pnpm-lock.yaml"), "utf8")) as Lockfile;
if (lockfile.lockfileVersion !== "9.0") throw new Error(`No such version is known: ${lockfile.lockfileVersion}.`);
const bom = makeBom(lockfile);
const errors = validate(bom);
if (errors.length > 0) {
  console.error(errors.slice(0, 5));
  throw new Error("The bill of materials is not valid CycloneDX 1.6.");
}
mkdirSync(dirname(resolve(file)), { recursive: true });
writeFileSync(file, `${JSON.stringify(bom, undefined, 2)}\n`);
console.log(`ci: ${bom.components.length} components`);

function makeBom({ importers, packages, snapshots }: Lockfile) {
  const { version } = JSON.parse(readFileSync(join(root, "packages/service/package.json"), "utf8"));
  const shipped = reachable(snapshots, importedBy(importers, isShipped));
  const direct = importedBy(importers, () => true);
  const names = Object.keys(packages).sort();
  const components = names.map((id) => toComponent(id, packages[id]?.resolution?.integrity, shipped.has(id)));
  const graph = new Map<string, Set<string>>(names.map((id) => [id, new Set()]));
  for (const [id, snapshot] of Object.entries(snapshots)) {
    for (const needed of neededBy(snapshot)) graph.get(plain(id))?.add(plain(needed));
  }
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "application", "bom-ref": "sazabi", name: "sazabi", version } },
    components,
    dependencies: [
      { ref: "sazabi", dependsOn: [...new Set(direct.map((id) => purlOf(plain(id))))].sort() },
      ...[...graph].map(([id, needed]) => ({ ref: purlOf(id), dependsOn: [...needed].map(purlOf).sort() })),
    ],
  };
}

function isShipped(importer: string, kind: string, name: string): boolean {
  return importer !== "." && (kind !== "devDependencies" || (importer === "packages/cli" && builtIn.has(name)));
}

function importedBy(
  importers: Lockfile["importers"],
  isWanted: (importer: string, kind: string, name: string) => boolean,
): string[] {
  return Object.entries(importers).flatMap(([importer, kinds]) =>
    Object.entries(kinds).flatMap(([kind, dependencies]) =>
      Object.entries(dependencies)
        .filter(([name, { version }]) => !version.startsWith("link:") && isWanted(importer, kind, name))
        .map(([name, { version }]) => idOf(name, version)),
    ),
  );
}

/** Returns the packages that these depend on, directly or indirectly. */
function reachable(snapshots: Lockfile["snapshots"], from: readonly string[]): Set<string> {
  const found = new Set(from);
  for (const id of found) for (const needed of neededBy(snapshots[id] ?? {})) found.add(needed);
  return new Set([...found].map(plain));
}

function neededBy({ dependencies = {}, optionalDependencies = {} }: Dependencies): string[] {
  return Object.entries({ ...dependencies, ...optionalDependencies }).map(([name, version]) => idOf(name, version));
}

/** Resolves an alias: the version `npm:other@1.0.0` is returned as `other@1.0.0`. */
function idOf(name: string, version: string): string {
  return /^@?[^@(]+@/.test(version) ? version : `${name}@${version}`;
}

/** Removes the peers in parentheses that a package was resolved with. */
function plain(id: string): string {
  return id.replace(/\(.*$/, "");
}

function toComponent(id: string, integrity: string | undefined, isShipped: boolean) {
  const { scope, name, version } = partsOf(id);
  const hash = /^sha512-(.+)$/.exec(integrity ?? "")?.[1];
  return {
    type: "library",
    "bom-ref": purlOf(id),
    ...(scope && { group: scope }),
    name,
    version,
    scope: isShipped ? "required" : "excluded",
    ...(hash && { hashes: [{ alg: "SHA-512", content: Buffer.from(hash, "base64").toString("hex") }] }),
    purl: purlOf(id),
  };
}

function partsOf(id: string): { scope: string | undefined; name: string; version: string } {
  const [, scope, name, version] = /^(?:(@[^/]+)\/)?([^@]+)@(.+)$/.exec(id) ?? [];
  if (name === undefined || version === undefined) throw new Error(`${id} is no package of the registry.`);
  return { scope, name, version };
}

function purlOf(id: string): string {
  const { scope, name, version } = partsOf(id);
  return `pkg:npm/${scope ? `${encodeURIComponent(scope)}/` : ""}${name}@${encodeURIComponent(version)}`;
}

/** Validates against the schema that CycloneDX publishes in its own library. */
function validate(candidate: object): readonly ErrorObject[] {
  const require = createRequire(import.meta.url);
  const Ajv = require("ajv").default as typeof import("ajv").default;
  const addFormats = require("ajv-formats").default as typeof import("ajv-formats").default;
  const library = dirname(dirname(require.resolve("@cyclonedx/cyclonedx-library")));
  const schema = (name: string) =>
    JSON.parse(readFileSync(join(library, "res", "schema", `${name}.SNAPSHOT.schema.json`), "utf8"));
  const ajv = new Ajv({ strict: false, allErrors: true });
  addFormats(ajv);
  // Formats that this bill of materials does not use.
  for (const format of ["iri-reference", "idn-email"]) ajv.addFormat(format, true);
  // The names by which the schema refers to them.
  for (const name of ["spdx", "jsf-0.82"]) {
    ajv.addSchema({ ...schema(name), $id: `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json` });
  }
  const check = ajv.compile(schema("bom-1.6")) as ValidateFunction;
  return check(candidate) ? [] : (check.errors ?? []);
}
