import { type CodePointRange, firstAtLeast, holdsPoint, mergeRanges, wordRanges } from "./code-points.ts";
import { caseVariants, unfoldings } from "./text.ts";

/**
 * A regular expression of the subset that every engine reads alike: literals, `.`, classes, `\d \w \s \b` (ASCII),
 * groups, `|`, `^ $` (ends of the text), `* + ?` and `{m,n}`. No back references and no lookaround, so it can be
 * matched in time proportional to the text. Case never counts; `.` and negated classes match line ends too.
 */
export interface Regex {
  /** As it was written, without the slashes. */
  readonly source: string;
  readonly root: RegexNode;
}

export type RegexNode =
  /** One character in, or when negated not in, these ranges of code points: ascending, apart, and in both cases. */
  | { readonly kind: "class"; readonly ranges: readonly CodePointRange[]; readonly negated: boolean }
  | { readonly kind: "edge"; readonly edge: "start" | "end" | "word" | "inside" }
  | { readonly kind: "sequence"; readonly nodes: readonly RegexNode[] }
  | { readonly kind: "choice"; readonly nodes: readonly RegexNode[] }
  /** `max` null: without end. */
  | { readonly kind: "repeat"; readonly node: RegexNode; readonly min: number; readonly max: number | null };

/** States of the matcher after repetitions are written out; bounds the cost of a character. */
const maxStates = 256;
const maxDepth = 20;
const maxRepeat = 100;

const digit: readonly CodePointRange[] = [[0x30, 0x39]];
const space: readonly CodePointRange[] = [
  [0x09, 0x0d],
  [0x20, 0x20],
];
const anyCharacter: RegexNode = { kind: "class", ranges: [], negated: true };

/** The expression, or the reason why it is none of the subset, as the end of a sentence. */
export function parseRegex(source: string): Regex | { readonly refused: string } {
  try {
    const root = new RegexReader(source).read();
    if (stateCount(root) > maxStates) return { refused: "is too large" };
    return { source, root };
  } catch (error) {
    if (error instanceof RefusedRegex) return { refused: error.message };
    throw error;
  }
}

class RefusedRegex extends Error {}

class RegexReader {
  readonly #characters: readonly string[];
  #place = 0;
  #depth = 0;
  #atoms = 0;

  constructor(source: string) {
    this.#characters = Array.from(source);
  }

  read(): RegexNode {
    const root = this.#choice();
    if (this.#place < this.#characters.length) throw new RefusedRegex("has a `)` without its `(`");
    return root;
  }

  #choice(): RegexNode {
    const nodes = [this.#sequence()];
    while (this.#take("|")) nodes.push(this.#sequence());
    return nodes.length === 1 ? (nodes[0] as RegexNode) : { kind: "choice", nodes };
  }

  #sequence(): RegexNode {
    const nodes: RegexNode[] = [];
    for (let next = this.#peek(); next !== undefined && next !== "|" && next !== ")"; next = this.#peek()) {
      nodes.push(this.#repeated());
    }
    return nodes.length === 1 ? (nodes[0] as RegexNode) : { kind: "sequence", nodes };
  }

  #repeated(): RegexNode {
    const node = this.#atom();
    const times = this.#times();
    if (!times) return node;
    if (hasEdge(node)) throw new RefusedRegex("repeats a position");
    if (minimumLength(node) === 0) throw new RefusedRegex("repeats what may be empty");
    // Whether there is a match does not depend on how eagerly it is looked for.
    this.#take("?");
    if (this.#times()) throw new RefusedRegex("has two repetitions in a row");
    return { kind: "repeat", node, min: times[0], max: times[1] };
  }

  #times(): readonly [number, number | null] | undefined {
    if (this.#take("*")) return [0, null];
    if (this.#take("+")) return [1, null];
    if (this.#take("?")) return [0, 1];
    if (this.#peek() !== "{") return undefined;
    const bounds = /^\{(\d{1,3})(,(\d{1,3})?)?\}/.exec(this.#characters.slice(this.#place, this.#place + 9).join(""));
    if (!bounds) return undefined;
    this.#place += bounds[0].length;
    const min = Number(bounds[1]);
    const max = bounds[2] === undefined ? min : bounds[3] === undefined ? null : Number(bounds[3]);
    if (min > maxRepeat || (max ?? 0) > maxRepeat) throw new RefusedRegex(`repeats more than ${maxRepeat} times`);
    if (max !== null && max < min) throw new RefusedRegex("has a repetition whose bounds are the wrong way round");
    return [min, max];
  }

  #atom(): RegexNode {
    // Before the cases of a class are looked up, which takes longer than to read it.
    if (++this.#atoms > maxStates) throw new RefusedRegex("is too large");
    const next = this.#next();
    if (next === "(") return this.#group();
    if (next === "[") return this.#class();
    if (next === ".") return anyCharacter;
    if (next === "^") return { kind: "edge", edge: "start" };
    if (next === "$") return { kind: "edge", edge: "end" };
    if (next === "*" || next === "+" || next === "?") throw new RefusedRegex("repeats nothing");
    if (next === "\\") return this.#escape();
    return literal(next);
  }

  #group(): RegexNode {
    if (this.#take("?") && !this.#take(":")) throw new RefusedRegex("uses a `(?` that is not supported");
    if (++this.#depth > maxDepth) throw new RefusedRegex("is nested too deeply");
    const node = this.#choice();
    this.#depth -= 1;
    if (!this.#take(")")) throw new RefusedRegex("has a `(` without its `)`");
    return node;
  }

  #escape(): RegexNode {
    const escaped = this.#next("ends with a backslash");
    if (escaped === "b") return { kind: "edge", edge: "word" };
    if (escaped === "B") return { kind: "edge", edge: "inside" };
    const shorthand = shorthands[escaped.toLowerCase()];
    if (shorthand) return { kind: "class", ranges: shorthand, negated: escaped !== escaped.toLowerCase() };
    return literal(escapedCharacter(escaped));
  }

  #class(): RegexNode {
    const negated = this.#take("^");
    const ranges: CodePointRange[] = [];
    for (let first = true; first || this.#peek() !== "]"; first = false) {
      const from = this.#member();
      if (typeof from !== "string") {
        ranges.push(...from);
        continue;
      }
      const to = this.#rangeEnd() ?? from;
      if (codePoint(to) < codePoint(from)) throw new RefusedRegex("has a range that is the wrong way round");
      ranges.push([codePoint(from), codePoint(to)]);
    }
    this.#place += 1;
    return { kind: "class", ranges: withBothCases(ranges), negated };
  }

  #rangeEnd(): string | undefined {
    if (this.#peek() !== "-" || (this.#characters[this.#place + 1] ?? "]") === "]") return undefined;
    this.#place += 1;
    const to = this.#member();
    if (typeof to !== "string") throw new RefusedRegex("has a range that ends in a class");
    return to;
  }

  /** One character, or the ranges of a `\d`, `\w` or `\s`. */
  #member(): string | readonly CodePointRange[] {
    const next = this.#next("has a `[` without its `]`");
    if (next === "[") throw new RefusedRegex("has a `[` in a class; write `\\[`");
    if (next !== "\\") return next;
    const escaped = this.#next("ends with a backslash");
    return shorthands[escaped] ?? escapedCharacter(escaped);
  }

  #peek(): string | undefined {
    return this.#characters[this.#place];
  }

  #next(otherwise = "ends early"): string {
    const next = this.#characters[this.#place++];
    if (next === undefined) throw new RefusedRegex(otherwise);
    return next;
  }

  #take(wanted: string): boolean {
    if (this.#peek() !== wanted) return false;
    this.#place += 1;
    return true;
  }
}

const shorthands: Readonly<Record<string, readonly CodePointRange[]>> = { d: digit, w: wordRanges, s: space };
const controls: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", f: "\f", v: "\v" };

function escapedCharacter(escaped: string): string {
  const control = controls[escaped];
  if (control !== undefined) return control;
  if (/[\p{L}\p{N}]/u.test(escaped)) throw new RefusedRegex(`uses \`\\${escaped}\`, which is not supported`);
  return escaped;
}

function literal(character: string): RegexNode {
  const points = caseVariants(character).map(codePoint);
  return { kind: "class", ranges: mergeRanges(points.map((point) => [point, point])), negated: false };
}

function codePoint(character: string): number {
  return character.codePointAt(0) as number;
}

function withBothCases(ranges: readonly CodePointRange[]): readonly CodePointRange[] {
  const sorted = mergeRanges(ranges);
  const all = [...sorted];
  const holds = (point: number) => holdsPoint(sorted, point);
  for (let letter = 0x61; letter <= 0x7a; letter++) {
    if (holds(letter) || holds(letter - 0x20)) all.push([letter, letter], [letter - 0x20, letter - 0x20]);
  }
  for (const group of brokenCaseGroups(sorted)) for (const point of group) all.push([point, point]);
  return mergeRanges(all);
}

/** Characters beyond ASCII that are one letter in its cases are a group. */
interface CaseTable {
  readonly groups: readonly (readonly number[])[];
  /** Every character of a group, ascending, and the number of its group. */
  readonly points: Int32Array;
  readonly groupOf: Int32Array;
}

let caseTable: CaseTable | undefined;

function readCaseTable(): CaseTable {
  const groups = [...unfoldings()].map(([folded, others]) => [folded, ...others].map(codePoint));
  const points = groups.flatMap((group, index) => group.map((point) => [point, index] as const));
  points.sort(([left], [right]) => left - right);
  return {
    groups,
    points: Int32Array.from(points, ([point]) => point),
    groupOf: Int32Array.from(points, ([, group]) => group),
  };
}

/** The groups of which the ranges hold some characters and not all. */
function brokenCaseGroups(ranges: readonly CodePointRange[]): readonly (readonly number[])[] {
  if ((ranges.at(-1)?.[1] ?? 0) <= 0x7f) return [];
  caseTable ??= readCaseTable();
  const { groups, points, groupOf } = caseTable;
  const held = new Uint8Array(groups.length);
  for (const [from, to] of ranges) {
    for (let at = firstAtLeast(points, from); at < points.length && (points[at] as number) <= to; at++) {
      const group = groupOf[at] as number;
      held[group] = (held[group] as number) + 1;
    }
  }
  return groups.filter((group, index) => held[index] !== 0 && held[index] !== group.length);
}

/** Engines that write out repetitions may grow beyond measure where one is of nothing, or of a position. */
function minimumLength(node: RegexNode): number {
  switch (node.kind) {
    case "class":
      return 1;
    case "edge":
      return 0;
    case "repeat":
      return node.min * minimumLength(node.node);
    case "sequence":
      return node.nodes.reduce((sum, part) => sum + minimumLength(part), 0);
    case "choice":
      return Math.min(...node.nodes.map(minimumLength));
  }
}

function hasEdge(node: RegexNode): boolean {
  if (node.kind === "repeat") return hasEdge(node.node);
  if (node.kind === "sequence" || node.kind === "choice") return node.nodes.some(hasEdge);
  return node.kind === "edge";
}

function stateCount(node: RegexNode): number {
  switch (node.kind) {
    case "class":
    case "edge":
      return 1;
    case "repeat": {
      const times = node.max === null ? Math.max(1, node.min) : node.max;
      return (stateCount(node.node) + 1) * times + 1;
    }
    case "sequence":
    case "choice":
      return node.nodes.reduce((sum, part) => sum + stateCount(part) + 1, 0);
  }
}

/** What engines write differently. */
interface RegexSyntax {
  /** A word boundary, and its opposite. */
  readonly word: string;
  readonly inside: string;
  /** An ASCII character that may mean something; `point` is its code. Default `\u0028`. */
  readonly escaped?: (point: number) => string;
}

/** The expression in the syntax that PostgreSQL (`~`, collation "C"), RE2 and JavaScript (flags `su`) share but for `syntax`. */
export function printRegex({ root }: Regex, syntax: RegexSyntax): string {
  const { escaped = (point) => `\\u${point.toString(16).padStart(4, "0")}` } = syntax;
  const print = (node: RegexNode): string => {
    switch (node.kind) {
      case "class":
        return printClass(node.ranges, node.negated, escaped);
      case "edge":
        return node.edge === "start" ? "^" : node.edge === "end" ? "$" : syntax[node.edge];
      case "sequence":
        return node.nodes.map((part) => (part.kind === "choice" ? `(?:${print(part)})` : print(part))).join("");
      case "choice":
        return node.nodes.map(print).join("|");
      case "repeat":
        return `(?:${print(node.node)}){${node.min},${node.max ?? ""}}`;
    }
  };
  return print(root);
}

function printClass(ranges: readonly CodePointRange[], negated: boolean, escaped: (point: number) => string): string {
  if (ranges.length === 0) return ".";
  const print = (point: number) => {
    const character = String.fromCodePoint(point);
    return point > 0x7f || /[0-9A-Za-z]/.test(character) ? character : escaped(point);
  };
  const members = ranges.map(([from, to]) => (from === to ? print(from) : `${print(from)}-${print(to)}`));
  return `[${negated ? "^" : ""}${members.join("")}]`;
}
