import { type CodePointRange, firstAtLeast, wordRanges } from "./code-points.ts";
import type { Regex, RegexNode } from "./regex.ts";

export type Step =
  | { readonly kind: "class"; readonly ranges: readonly CodePointRange[]; readonly negated: boolean }
  | { readonly kind: "edge"; readonly edge: "start" | "end" | "word" | "inside" }
  /** Goes on at the next step and at this one. Set once the step it leads to is known. */
  | { readonly kind: "split"; other: number }
  | { readonly kind: "jump"; to: number }
  | { readonly kind: "found" };

/** A regular expression as the steps of a nondeterministic automaton, over symbols instead of characters. */
export interface RegexProgram {
  readonly steps: readonly Step[];
  readonly alphabet: Alphabet;
  /** It has a `\b` or `\B`, so that the kind of the character before matters. */
  readonly usesWords: boolean;
}

/** Characters that no class of the expression tells apart are one symbol. */
export interface Alphabet {
  readonly size: number;
  readonly ascii: Uint16Array;
  /** Where each interval of code points begins, ascending, and the symbol of its characters. */
  readonly starts: Int32Array;
  readonly symbols: Uint16Array;
  /** By symbol, one of its characters. */
  readonly examples: Int32Array;
}

export function compileRegex({ root }: Regex): RegexProgram {
  const steps = stepsOf(root);
  const usesWords = steps.some((step) => step.kind === "edge" && (step.edge === "word" || step.edge === "inside"));
  const classes = new Set(steps.flatMap((step) => (step.kind === "class" ? [step.ranges] : [])));
  if (usesWords) classes.add(wordRanges);
  return { steps, alphabet: alphabetOf([...classes]), usesWords };
}

/** Starts with one symbol for all characters, and splits each symbol that a class holds in part. */
function alphabetOf(classes: readonly (readonly CodePointRange[])[]): Alphabet {
  const bounds = classes.flatMap((ranges) => ranges.flatMap(([from, to]) => [from, to + 1]));
  const starts = Int32Array.from(new Set([0, ...bounds])).sort();
  const split = new Int32Array(starts.length);
  let count = 1;
  for (const ranges of classes) {
    const splits = new Map<number, number>();
    for (const [from, to] of ranges) {
      const last = lastAtMost(starts, to);
      for (let interval = lastAtMost(starts, from); interval <= last; interval++) {
        const symbol = split[interval] as number;
        const inside = splits.get(symbol) ?? count++;
        splits.set(symbol, inside);
        split[interval] = inside;
      }
    }
  }
  const numbered = new Map<number, number>();
  const examples: number[] = [];
  const symbols = Uint16Array.from(split, (symbol, interval) => {
    const known = numbered.get(symbol);
    if (known !== undefined) return known;
    numbered.set(symbol, examples.length);
    return examples.push(starts[interval] as number) - 1;
  });
  const ascii = Uint16Array.from({ length: 0x80 }, (_, point) => symbols[lastAtMost(starts, point)] as number);
  return { size: examples.length, ascii, starts, symbols, examples: Int32Array.from(examples) };
}

export function symbolOf({ starts, symbols }: Alphabet, point: number): number {
  return symbols[lastAtMost(starts, point)] as number;
}

/** The place of the last number that is not greater; the first number is at most `wanted`. */
function lastAtMost(numbers: Int32Array, wanted: number): number {
  return firstAtLeast(numbers, wanted + 1) - 1;
}

function stepsOf(root: RegexNode): readonly Step[] {
  const steps: Step[] = [];
  const write = (node: RegexNode): void => {
    switch (node.kind) {
      case "class":
      case "edge":
        steps.push(node);
        return;
      case "sequence":
        for (const part of node.nodes) write(part);
        return;
      case "choice":
        writeChoice(node.nodes);
        return;
      case "repeat":
        for (let count = 0; count < node.min; count++) write(node.node);
        if (node.max === null) writeLoop(node.node);
        else for (let count = node.min; count < node.max; count++) writeChoice([node.node, empty]);
    }
  };
  const writeChoice = (nodes: readonly RegexNode[]): void => {
    const ends: { to: number }[] = [];
    for (const [index, node] of nodes.entries()) {
      if (index === nodes.length - 1) {
        write(node);
        break;
      }
      const split = { kind: "split" as const, other: 0 };
      const jump = { kind: "jump" as const, to: 0 };
      steps.push(split);
      write(node);
      steps.push(jump);
      ends.push(jump);
      split.other = steps.length;
    }
    for (const end of ends) end.to = steps.length;
  };
  const writeLoop = (node: RegexNode): void => {
    const start = steps.length;
    const split = { kind: "split" as const, other: 0 };
    steps.push(split);
    write(node);
    steps.push({ kind: "jump", to: start });
    split.other = steps.length;
  };
  write(root);
  steps.push({ kind: "found" });
  return steps;
}

const empty: RegexNode = { kind: "sequence", nodes: [] };
