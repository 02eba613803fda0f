import { wildcard } from "./mask.ts";

/** Lines of one make. */
export interface Cluster {
  /** The words that all have in common; what differs is a wildcard. */
  words: readonly string[];
  /** Where they differ: the few words seen there, or that there are too many. */
  readonly seen: Map<number, Set<string> | "many">;
  /** Counts the changes of what its lines' templates are. */
  version: number;
  /** When a line joined it last, in lines. */
  usedAt: number;
  /** False when it was evicted: later lines do not join it. */
  isHeld: boolean;
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
  readonly #limit: number | undefined;
  readonly #byBeginning = new Map<string, Cluster[]>();
  #count = 0;
  #lines = 0;

  /**
   * Holds so many groups at most: for a new one, those that were not used for longest are evicted. Without a limit none
   * is evicted, and a group is not made when there are too many to compare with.
   */
  constructor(limit?: number) {
    this.#limit = limit;
  }

  /** The group that the words belong to from now on; undefined when there is no room for one. */
  place(words: readonly string[]): Cluster | undefined {
    return this.find(words) ?? this.add(words);
  }

  /** The group that the words are most alike, which they join. */
  find(words: readonly string[]): Cluster | undefined {
    const best = mostAlike(this.#byBeginning.get(beginningOf(words)) ?? [], words);
    if (!best) return undefined;
    this.use(best);
    join(best, words);
    return best;
  }

  /** A new group. */
  add(words: readonly string[]): Cluster | undefined {
    const beginning = beginningOf(words);
    const siblings = this.#byBeginning.get(beginning) ?? [];
    if (siblings.length >= comparedAtMost) {
      if (this.#limit === undefined) return undefined;
      this.#evict(siblings);
    }
    if (this.#count === this.#limit) this.#evict([...this.#byBeginning.values()].flat());
    const cluster: Cluster = { words, seen: new Map(), version: 0, usedAt: 0, isHeld: true };
    this.use(cluster);
    this.#byBeginning.set(beginning, [...(this.#byBeginning.get(beginning) ?? []), cluster]);
    this.#count += 1;
    return cluster;
  }

  use(cluster: Cluster): void {
    cluster.usedAt = ++this.#lines;
  }

  /** The quarter that was used least recently: to look for one at a time would cost each new group a look at all. */
  #evict(clusters: readonly Cluster[]): void {
    const byUse = [...clusters].sort((a, b) => a.usedAt - b.usedAt);
    for (const cluster of byUse.slice(0, Math.ceil(clusters.length / 4))) {
      const beginning = beginningOf(cluster.words);
      const left = (this.#byBeginning.get(beginning) ?? []).filter((other) => other !== cluster);
      if (left.length > 0) this.#byBeginning.set(beginning, left);
      else this.#byBeginning.delete(beginning);
      cluster.isHeld = false;
      cluster.version += 1;
      this.#count -= 1;
    }
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
