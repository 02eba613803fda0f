import { wildcard } from "./mask.ts";

/** Lines of one make. */
export interface Cluster {
  /** The words that all have in common; what differs is a wildcard. */
  words: readonly string[];
  /** Where they differ: the few words seen there, or that there are too many. */
  readonly seen: Map<number, Set<string> | "many">;
  /** Counts the changes of what its lines' templates are. */
  version: number;
}

/** Of the words, so many must be the same. */
const threshold = 0.5;
const comparedAtMost = 200;
/** Two words in one place say two things (`hit` and `miss`, `GET` and `POST`); more are values. */
const wordsThatMean = 2;
/** In more places than this, two words are values too, or templates would multiply. */
const placesThatMean = 2;

/**
 * Groups lines of words as Drain does (He et al., 2017): lines of one length that begin with the same word are compared
 * word by word, and join the group they are most alike; where they differ the group gets a wildcard. Unlike Drain, a place
 * where only two words were ever seen keeps them, and makes two templates of the group.
 */
export class Clusters {
  readonly #limit: number;
  readonly #byBeginning = new Map<string, Cluster[]>();
  #count = 0;

  /** Holds so many groups at most. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The group that the words belong to from now on; undefined when there is no room for one. */
  place(words: readonly string[]): Cluster | undefined {
    const beginning = beginningOf(words);
    const candidates = this.#byBeginning.get(beginning) ?? [];
    const best = mostAlike(candidates, words);
    if (best) {
      join(best, words);
      return best;
    }
    if (this.#count >= this.#limit || candidates.length >= comparedAtMost) return undefined;
    const cluster: Cluster = { words, seen: new Map(), version: 0 };
    this.#byBeginning.set(beginning, [...candidates, cluster]);
    this.#count += 1;
    return cluster;
  }
}

/** The template of a line of the group, as the group is now. */
export function templateOf({ words: common, seen }: Cluster, words: readonly string[]): string {
  const meant = [...seen].filter(([, values]) => values !== "many").map(([place]) => place);
  if (meant.length === 0 || meant.length > placesThatMean) return common.join(" ");
  return common.map((word, place) => (meant.includes(place) ? words[place] : word)).join(" ");
}

function beginningOf(words: readonly string[]): string {
  const first = words[0] ?? "";
  return `${words.length} ${first.includes(wildcard) ? wildcard : first}`;
}

function mostAlike(candidates: readonly Cluster[], words: readonly string[]): Cluster | undefined {
  let best: Cluster | undefined;
  let bestScore = 0;
  for (const candidate of candidates) {
    const score = likeness(candidate.words, words);
    if (score > bestScore) {
      best = candidate;
      bestScore = score;
    }
  }
  return best;
}

/** From 0 to 1, by the words that are the same; 0 when they are too few. A template that covers the words has enough. */
function likeness(template: readonly string[], words: readonly string[]): number {
  let same = 0;
  let covers = true;
  for (let place = 0; place < words.length; place++) {
    if (template[place] === words[place]) same += 1;
    else covers &&= template[place] === wildcard;
  }
  const part = same / words.length;
  return covers || part >= threshold ? part : 0;
}

function join(cluster: Cluster, words: readonly string[]): void {
  let changed = false;
  for (let place = 0; place < words.length; place++) {
    const common = cluster.words[place] as string;
    const word = words[place] as string;
    const seen = cluster.seen.get(place);
    if (common === word && seen === undefined) continue;
    if (seen === "many") continue;
    const values = seen ?? new Set([common]);
    if (values.has(word)) continue;
    values.add(word);
    const isMany = values.size > wordsThatMean || [...values].some((value) => value.includes(wildcard));
    cluster.seen.set(place, isMany ? "many" : values);
    changed = true;
  }
  if (!changed) return;
  cluster.version += 1;
  cluster.words = cluster.words.map((word, place) => (cluster.seen.has(place) ? wildcard : word));
}
