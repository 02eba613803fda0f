// Checks that imports between folders have no cycles. The linter reports cycles of files; this check also reports
// cycles of folders without a cycle of files. Types and lazy imports count. `routes` counts as a folder above the one
// that contains it, because it uses its store, and only app.ts mounts it. The same holds for each file directly in
// `src`, which belongs to no folder.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, normalize } from "node:path/posix";

const imported = /(?:\bfrom|\bimport\(?)\s*"(\.{1,2}\/[^"]+)"/g;

/** Maps a folder to the folders that it imports, each with one import as an example. */
type Graph = Map<string, Map<string, string>>;

function folderOf(file: string): string {
  if (/\/src\/[^/]+$/.test(file) || /\/(routes|index)\.ts$/.test(file)) return file;
  return dirname(file);
}

function readGraph(files: readonly string[]): Graph {
  const graph: Graph = new Map();
  for (const file of files) {
    for (const [, path = ""] of readFileSync(file, "utf8").matchAll(imported)) {
      const target = normalize(`${dirname(file)}/${path}`);
      const [from, to] = [folderOf(file), folderOf(target)];
      if (from === to) continue;
      const targets = graph.get(from) ?? new Map<string, string>();
      if (!targets.has(to)) targets.set(to, `${file} imports ${target}`);
      graph.set(from, targets);
    }
  }
  return graph;
}

/** Returns the shortest cycle through a folder, as imports, or undefined if there is none. */
function findCycle(graph: Graph, start: string): string[] | undefined {
  const ways: { folder: string; imports: string[] }[] = [{ folder: start, imports: [] }];
  const seen = new Set<string>();
  for (const { folder, imports } of ways) {
    for (const [target, example] of graph.get(folder) ?? []) {
      if (target === start) return [...imports, example];
      if (seen.has(target)) continue;
      seen.add(target);
      ways.push({ folder: target, imports: [...imports, example] });
    }
  }
  return undefined;
}

const files = readdirSync("packages").flatMap((name) =>
  readdirSync(`packages/${name}/src`, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => `packages/${name}/src/${path.replaceAll("\\", "/")}`),
);
const graph = readGraph(files);
const cycles = new Map<string, string[]>();
for (const folder of graph.keys()) {
  const cycle = findCycle(graph, folder);
  if (cycle) cycles.set([...cycle].sort().join(), cycle);
}
for (const cycle of cycles.values()) console.error(`Folders import each other:\n  ${cycle.join("\n  ")}`);
console.log(`${graph.size} folders, ${cycles.size} cycles.`);
process.exitCode = files.length === 0 || cycles.size > 0 ? 1 : 0;
