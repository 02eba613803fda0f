import { holdsPoint, wordRanges } from "./code-points.ts";
import type { Regex } from "./regex.ts";
import { compileRegex, type RegexProgram, type Step, symbolOf } from "./regex-program.ts";
import { type StepMeter, unlimitedSteps } from "./steps.ts";

/** Bounds, in numbers of 4 bytes, of the states that one expression keeps and that all of the process keep. */
const maxKeptByOne = 16_384;
const maxKeptByAll = 4_000_000;
const initialStates = 8;
/** Following a known transition is one step. Computing one costs this many for each state of the program it visits. */
const stepsPerVisit = 24;
const charactersPerCount = 1_024;

/** What a transition leads to, where it is not the number of a state. */
const unknown = -1;
const found = -2;
const notFound = -3;

const endOfText = -1;

const automata = new WeakMap<Regex, Automaton>();

/**
 * Whether the expression matches somewhere in the text. Costs a step for each character, and more where a transition is
 * not known yet; never more than the length of the text times the size of the expression.
 */
export function matchesRegex(regex: Regex, text: string, meter: StepMeter = unlimitedSteps): boolean {
  let automaton = automata.get(regex);
  if (!automaton) {
    const program = compileRegex(regex);
    meter.spend(program.alphabet.starts.length);
    automaton = new Automaton(program);
    automata.set(regex, automaton);
  }
  return automaton.matches(text, meter);
}

/** What is before the next character, as far as an edge depends on it. */
type Before = "start" | "word" | "other";

interface State {
  /** Steps of the program that wait for the next character, ascending. */
  readonly waiting: Uint16Array;
  readonly before: Before;
}

/** Automata that keep states. They are asked to forget them when all of them together keep too much. */
const keepers = new Set<Automaton>();
let keptByAll = 0;

/**
 * A deterministic automaton whose states are computed when a text needs them, and forgotten when there are too many. A
 * transition follows all ways to match at once (Thompson), so there is no backtracking.
 */
class Automaton {
  readonly #program: RegexProgram;
  /** The symbols of the alphabet, and the end of the text. */
  readonly #width: number;
  readonly #programSize: number;
  readonly #visitedIn: Int32Array;
  #visit = 0;
  /** By state and symbol. */
  #transitions = new Int32Array(0);
  #states: State[] = [];
  readonly #numbers = new Map<string, number>();
  #kept = 0;

  constructor(program: RegexProgram) {
    this.#program = program;
    this.#width = program.alphabet.size + 1;
    this.#programSize = 8 * program.steps.length + 16 * program.alphabet.starts.length;
    this.#visitedIn = new Int32Array(program.steps.length);
  }

  matches(text: string, meter: StepMeter): boolean {
    const { alphabet } = this.#program;
    const { ascii } = alphabet;
    const width = this.#width;
    let state = this.#numberOf({ waiting: new Uint16Array(0), before: "start" });
    let transitions = this.#transitions;
    let uncounted = 0;
    for (let place = 0; place < text.length; ) {
      const unit = text.charCodeAt(place);
      const point = unit < 0xd800 ? unit : (text.codePointAt(place) as number);
      const symbol = point < 0x80 ? (ascii[point] as number) : symbolOf(alphabet, point);
      let next = transitions[state * width + symbol] as number;
      if (next === unknown) {
        next = this.#compute(state, symbol, meter);
        transitions = this.#transitions;
      }
      if (++uncounted === charactersPerCount) {
        meter.spend(uncounted);
        uncounted = 0;
      }
      if (next === found) {
        meter.spend(uncounted);
        return true;
      }
      state = next;
      place += point > 0xffff ? 2 : 1;
    }
    meter.spend(uncounted + 1);
    const last = transitions[state * width + alphabet.size] as number;
    return (last === unknown ? this.#compute(state, alphabet.size, meter) : last) === found;
  }

  forget(): void {
    keptByAll -= this.#kept;
    keepers.delete(this);
    this.#kept = 0;
    this.#states = [];
    this.#numbers.clear();
    this.#transitions = new Int32Array(0);
  }

  #compute(number: number, symbol: number, meter: StepMeter): number {
    const { alphabet, usesWords } = this.#program;
    const states = this.#states;
    const state = states[number] as State;
    const point = symbol === alphabet.size ? endOfText : (alphabet.examples[symbol] as number);
    const waiting = this.#follow(state, point, meter);
    let next = found;
    if (waiting && point === endOfText) next = notFound;
    else if (waiting) next = this.#numberOf({ waiting, before: usesWords && isWord(point) ? "word" : "other" });
    // Unless the states were forgotten meanwhile.
    if (states === this.#states) this.#transitions[number * this.#width + symbol] = next;
    return next;
  }

  /** The steps that wait behind the character, or undefined when the expression has matched. */
  #follow({ waiting, before }: State, point: number, meter: StepMeter): Uint16Array | undefined {
    const { steps } = this.#program;
    const next: number[] = [];
    const stack = [0, ...waiting];
    this.#visit += 1;
    let visits = 0;
    let hasMatched = false;
    while (stack.length > 0 && !hasMatched) {
      const at = stack.pop() as number;
      if (this.#visitedIn[at] === this.#visit) continue;
      this.#visitedIn[at] = this.#visit;
      visits += 1;
      const step = steps[at] as Step;
      if (step.kind === "found") hasMatched = true;
      else if (step.kind === "jump") stack.push(step.to);
      else if (step.kind === "split") stack.push(step.other, at + 1);
      else if (step.kind === "edge") {
        if (holds(step.edge, before, point)) stack.push(at + 1);
      } else if (point !== endOfText && holdsPoint(step.ranges, point) !== step.negated) next.push(at + 1);
    }
    meter.spend(visits * stepsPerVisit);
    return hasMatched ? undefined : Uint16Array.from(next).sort();
  }

  /** The state's number; a state that is not known gets one. May forget all others. */
  #numberOf(state: State): number {
    const key = state.before + String.fromCharCode(...state.waiting);
    const known = this.#numbers.get(key);
    if (known !== undefined) return known;
    this.#makeRoom(this.#width + 2 * state.waiting.length);
    const number = this.#states.push(state) - 1;
    this.#numbers.set(key, number);
    const needed = (number + 1) * this.#width;
    if (needed > this.#transitions.length) {
      const grown = new Int32Array(Math.max(initialStates, 2 * number) * this.#width).fill(unknown);
      grown.set(this.#transitions);
      this.#transitions = grown;
    }
    return number;
  }

  #makeRoom(wanted: number): void {
    if (this.#states.length > 1 && this.#kept - this.#programSize + wanted > maxKeptByOne) this.forget();
    if (keptByAll + wanted > maxKeptByAll) for (const keeper of [...keepers]) keeper.forget();
    const added = keepers.has(this) ? wanted : wanted + this.#programSize;
    keepers.add(this);
    this.#kept += added;
    keptByAll += added;
  }
}

function holds(edge: "start" | "end" | "word" | "inside", before: Before, point: number): boolean {
  if (edge === "start") return before === "start";
  if (edge === "end") return point === endOfText;
  return ((before === "word") !== isWord(point)) === (edge === "word");
}

function isWord(point: number): boolean {
  return holdsPoint(wordRanges, point);
}
