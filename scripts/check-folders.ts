// Folders import each other in one direction only. The linter sees cycles of files; this sees those of folders, where no
// file imports itself in a circle and still neither folder can be read without the other. Types and lazy imports count.
// `routes` stand above the folder that holds them: they use its store, and only app.ts mounts them. So does each file of
// `src` itself: it is no folder's part.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, normalize } from "node:path/posix";

const imported = /(?:\bfrom|\bimport\(?)\s*"(\.{1,2}\/[^"]+)"/g;

/** Folder → the folders it imports, each with one import as the example. */
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

/** The shortest way from a folder back to itself, as the imports on it; undefined when there is none. */
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
