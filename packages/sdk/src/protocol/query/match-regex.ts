import type { CodePointRange, Regex, RegexNode } from "./regex.ts";

type Step =
  | { readonly kind: "class"; readonly ranges: readonly CodePointRange[]; readonly negated: boolean }
  | { readonly kind: "edge"; readonly edge: "start" | "end" | "word" | "inside" }
  /** Goes on at the next step and at this one. Set once the step it leads to is known. */
  | { readonly kind: "split"; other: number }
  | { readonly kind: "jump"; to: number }
  | { readonly kind: "found" };

const programs = new WeakMap<Regex, readonly Step[]>();

/** Whether the expression matches somewhere in the text. Takes time proportional to the text, whatever the expression. */
export function matchesRegex(regex: Regex, text: string): boolean {
  let program = programs.get(regex);
  if (!program) {
    program = programOf(regex.root);
    programs.set(regex, program);
  }
  return run(program, text);
}

function programOf(root: RegexNode): readonly Step[] {
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

/** All ways to match are followed at once, one character at a time (Thompson): no backtracking, so no explosion. */
function run(program: readonly Step[], text: string): boolean {
  const reachedAt = new Int32Array(program.length).fill(-1);
  let waiting: number[] = [];
  let before = -1;
  for (let place = 0; ; ) {
    const point = place < text.length ? (text.codePointAt(place) as number) : -1;
    const next: number[] = [];
    const stack = [0, ...waiting];
    while (stack.length > 0) {
      const at = stack.pop() as number;
      if (reachedAt[at] === place) continue;
      reachedAt[at] = place;
      const step = program[at] as Step;
      if (step.kind === "found") return true;
      if (step.kind === "jump") stack.push(step.to);
      else if (step.kind === "split") stack.push(step.other, at + 1);
      else if (step.kind === "edge") {
        if (holds(step.edge, before, point)) stack.push(at + 1);
      } else if (point !== -1 && isIn(step.ranges, point) !== step.negated) next.push(at + 1);
    }
    if (point === -1) return false;
    waiting = next;
    before = point;
    place += point > 0xffff ? 2 : 1;
  }
}

function holds(edge: "start" | "end" | "word" | "inside", before: number, after: number): boolean {
  if (edge === "start") return before === -1;
  if (edge === "end") return after === -1;
  return (isWord(before) !== isWord(after)) === (edge === "word");
}

function isWord(point: number): boolean {
  return (
    (point >= 0x30 && point <= 0x39) ||
    (point >= 0x41 && point <= 0x5a) ||
    (point >= 0x61 && point <= 0x7a) ||
    point === 0x5f
  );
}

function isIn(ranges: readonly CodePointRange[], point: number): boolean {
  for (const [from, to] of ranges) if (point >= from && point <= to) return true;
  return false;
}
