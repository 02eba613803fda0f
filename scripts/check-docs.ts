// Checks the documentation against the code: error codes, routes, variables, dependencies, links.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { errorStatus } from "@sazabi/sdk/protocol";
import { createApp } from "../packages/service/src/app.ts";
import { renewCliPage } from "./cli-page.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Figurative phrases with a plain equivalent. */
const phrases =
  /\b(?:lets? go of|behind (?:the|its|their) back|by heart|stands? on\b(?! its own)|keeps? house|worth a look)\b/i;

const problems = [
  ...checkErrorCodes(),
  ...checkRoutes(),
  ...checkVariables(),
  ...(await checkCliPage()),
  ...checkDependencies(),
  ...filesOfRepository(/\.md$/).flatMap(checkLinks),
  ...filesOfRepository(/\.md$/).flatMap(checkLineLengths),
  ...filesOfRepository(/\.md$|^packages\/\w+\/src\/.*\.ts$/).flatMap(checkPhrases),
];
for (const problem of problems) console.error(problem);
console.log(problems.length === 0 ? "The documentation agrees with the code." : `${problems.length} disagreements.`);
process.exitCode = problems.length === 0 ? 0 : 1;

/** Checks that the table of docs/api.md, with rows such as "| `NOT_FOUND` | 404 | … |", matches the protocol. */
function checkErrorCodes(): string[] {
  const rows = read("docs/api.md").matchAll(/^\|\s*`([A-Z_]+)`\s*\|\s*(\d{3})\s*\|/gm);
  const documented = [...rows].map(([, code, status]) => `${code} ${status}`);
  const real = Object.entries(errorStatus).map(([code, status]) => `${code} ${status}`);
  return compare("docs/api.md", "error code", documented, real);
}

/** Checks that docs/api.md documents each route as `METHOD /path`, with `:name` for a parameter, and no others. */
function checkRoutes(): string[] {
  const mentions = read("docs/api.md").matchAll(/\b(GET|POST|PUT|PATCH|DELETE) (\/[\w\-/:.]*)/g);
  const documented = new Set([...mentions].map(([, method, path]) => `${method} ${path}`));
  const all = routes();
  // An unversioned path is an alias of the /v1 route, so only the latter must be documented.
  const needed = all.filter((route) => !all.includes(route.replace(" /", " /v1/")));
  return [
    ...needed.filter((route) => !documented.has(route)).map((route) => `docs/api.md does not describe ${route}.`),
    ...[...documented].filter((route) => !all.includes(route)).map((route) => `docs/api.md: there is no ${route}.`),
  ];
}

/** Returns the app's routes. They are only listed, so the services can be stubs that return themselves. */
function routes(): string[] {
  const services: object = new Proxy(() => services, { get: () => services });
  const { routes: registered } = createApp(services as Parameters<typeof createApp>[0]);
  // Requests that a browser sends by itself are not documented.
  const listed = registered.filter(({ method }) => method !== "ALL" && method !== "OPTIONS");
  return [...new Set(listed.map(({ method, path }) => `${method} ${path}`))];
}

function checkVariables(): string[] {
  const variable = /\b(SAZABI_[A-Z_]+|[A-Z]+_URL|HOST|PORT|NO_COLOR|FORCE_COLOR)\b/g;
  const namesIn = (text: string) => [...text.matchAll(variable)].map(([name]) => name);
  const service = namesIn(quoted(read("packages/service/src/config.ts")));
  const cli = filesOfRepository(/^packages\/cli\/src\/.*\.ts$/).flatMap((file) => namesIn(quoted(read(file))));
  const operations = namesIn(read("docs/operations.md"));
  const cliPage = namesIn(read("docs/cli.md"));
  return [
    ...missing(service, [...operations, ...cliPage]).map((name) => `docs/operations.md does not explain ${name}.`),
    ...missing(cli, cliPage).map((name) => `docs/cli.md does not explain ${name}.`),
    ...missing([...operations, ...cliPage], [...service, ...cli]).map((name) => `docs/: no code reads ${name}.`),
  ];
}

async function checkCliPage(): Promise<string[]> {
  const page = read("docs/cli.md");
  if ((await renewCliPage(page)) === page) return [];
  return [
    "docs/cli.md is not what the commands say of themselves: run `npm run docs:cli` and look at what it changed.",
  ];
}

/** Checks that lines of prose have at most 100 columns. Tables, code, headings and generated text are exempt. */
function checkLineLengths(file: string): string[] {
  const text = read(file)
    .replace(/^<!-- From here on.*?^<!-- Here ends/gms, "")
    .replace(/^ *```.*?^ *```$/gms, (block) => block.replace(/[^\n]/g, ""));
  return text.split("\n").flatMap((line) => {
    // Text that cannot be wrapped counts as one word.
    const words = line.trim().replace(/`+[^`]*`+|\]\([^)]*\)/g, (part) => part.replaceAll(" ", "_"));
    const isProse = !/^[|#<]/.test(words) && /.{2,} ./.test(words.replace(/^(?:[-*+]|\d+\.) /, ""));
    return isProse && line.length > 100 ? [`${file}: a line has ${line.length} columns, at most 100: ${line}`] : [];
  });
}

function checkPhrases(file: string): string[] {
  return read(file)
    .split("\n")
    .flatMap((line, at) => {
      const [found] = phrases.exec(line) ?? [];
      return found && file !== "CHANGELOG.md" ? [`${file}:${at + 1} says "${found}": say it plainly.`] : [];
    });
}

/** Returns the strings and property names of a source, because variables are read by name. */
function quoted(source: string): string {
  return [...source.matchAll(/"[^"\n]*"|`[^`]*`|\benv(?:ironment)?\??\.[A-Z_]+/g)].join("\n");
}

/** Checks that docs/dependencies.md has a line "- `name` — …" for each dependency. `@scope/*` covers a scope. */
function checkDependencies(): string[] {
  const listed = [...read("docs/dependencies.md").matchAll(/^- `([^`]+)`/gm)].map(([, name]) => name as string);
  const used = filesOfRepository(/(^|\/)package\.json$/).flatMap((file) => {
    const manifest = JSON.parse(read(file)) as Record<string, Record<string, string> | undefined>;
    const kinds = ["dependencies", "devDependencies", "optionalDependencies"].map((kind) => manifest[kind] ?? {});
    const external = kinds.flatMap(Object.entries).filter(([, version]) => !version.startsWith("workspace:"));
    return external.map(([name]) => (listed.includes(name.replace(/\/.*/, "/*")) ? name.replace(/\/.*/, "/*") : name));
  });
  return compare("docs/dependencies.md", "dependency", listed, used);
}

/** Checks that relative links lead to an existing file and heading. */
function checkLinks(file: string): string[] {
  const links = withoutCode(read(file)).matchAll(/\]\(([^)\s]+)\)/g);
  return [...links].flatMap(([, link = ""]) => {
    if (/^[a-z]+:/.test(link)) return [];
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? file : relative(root, resolve(root, dirname(file), path));
    if (!existsSync(join(root, target))) return [`${file}: ${link} leads nowhere.`];
    if (anchor && !headings(read(target)).includes(anchor)) return [`${file}: ${link} names no heading.`];
    return [];
  });
}

function headings(text: string): string[] {
  const lines = withoutCode(text).matchAll(/^#+\s+(.*)$/gm);
  return [...lines].map(([, title = ""]) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .trim()
      .replaceAll(" ", "-"),
  );
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```/gm, "");
}

function compare(page: string, what: string, documented: readonly string[], real: readonly string[]): string[] {
  return [
    ...missing(real, documented).map((name) => `${page} lacks the ${what} ${name}.`),
    ...missing(documented, real).map((name) => `${page}: there is no ${what} ${name}.`),
  ];
}

function missing(wanted: readonly string[], among: readonly string[]): string[] {
  return [...new Set(wanted)].filter((name) => !among.includes(name)).sort();
}

/** Returns an empty text for a file that does not exist. */
function read(file: string): string {
  return existsSync(join(root, file)) ? readFileSync(join(root, file), "utf8") : "";
}

/** Returns the files that git tracks or would add. */
function filesOfRepository(pattern: RegExp): string[] {
  const listed = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  return listed.split("\n").filter((file) => pattern.test(file) && existsSync(join(root, file)));
}
