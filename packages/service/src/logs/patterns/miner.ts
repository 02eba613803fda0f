import { type Cluster, Clusters, templateOf } from "./clusters.ts";
import { maskedWords, shapeOf, wildcard } from "./mask.ts";

export interface MinedPattern {
  /** The hash of the template: 32 bits, signed. The same for every process. */
  readonly id: number;
  readonly template: string;
}

const clustersHeld = 500;
const shapesHeld = 4_000;
/**
 * New groups that a project may have at once, and how many more it may have with each message. Each is a row in the
 * database, so messages that have nothing in common must not make one each for ever.
 */
const newGroupsAtOnce = 2_000;
const newGroupsPerMessage = 0.05;

interface KnownShape {
  readonly cluster: Cluster;
  version: number;
  pattern: MinedPattern;
}

/**
 * Finds the kind of each message of one project, in one pass over it where one like it was met before. Kinds that were
 * not met for longest are forgotten for new ones. Deterministic: the same messages in the same order are of the same
 * kinds. About a megabyte of memory at most.
 */
export class PatternMiner {
  readonly #clusters = new Clusters(clustersHeld);
  readonly #shapes = new Map<number, KnownShape>();
  #newGroups = newGroupsAtOnce;

  patternOf(message: string): MinedPattern {
    const shape = shapeOf(message);
    const known = this.#shapes.get(shape);
    this.#newGroups = Math.min(newGroupsAtOnce, this.#newGroups + newGroupsPerMessage);
    if (known) this.#clusters.use(known.cluster);
    if (known && known.version === known.cluster.version) return known.pattern;
    const words = maskedWords(message);
    const cluster = known?.cluster.isHeld ? known.cluster : (this.#clusters.find(words) ?? this.#addCluster(words));
    if (!cluster) return anything;
    const pattern = minedPattern(templateOf(cluster, words));
    if (known?.cluster === cluster) {
      known.version = cluster.version;
      known.pattern = pattern;
    } else {
      if (this.#shapes.size >= shapesHeld) this.#shapes.clear();
      this.#shapes.set(shape, { cluster, version: cluster.version, pattern });
    }
    return pattern;
  }

  #addCluster(words: readonly string[]): Cluster | undefined {
    if (this.#newGroups < 1) return undefined;
    this.#newGroups -= 1;
    return this.#clusters.add(words);
  }
}

const projectsHeld = 100;

/** A miner for each project. The least recently used one is dropped; its project begins with an empty one. */
export class PatternMiners {
  readonly #miners = new Map<number, PatternMiner>();

  of(projectNumber: number): PatternMiner {
    const miner = this.#miners.get(projectNumber) ?? new PatternMiner();
    this.#miners.delete(projectNumber);
    this.#miners.set(projectNumber, miner);
    const [oldest] = this.#miners.keys();
    if (this.#miners.size > projectsHeld) this.#miners.delete(oldest as number);
    return miner;
  }
}

export function minedPattern(template: string): MinedPattern {
  return { id: hashOf(template), template };
}

/** FNV-1a over UTF-16 units, with its bits mixed at the end (MurmurHash3). */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let place = 0; place < text.length; place++) hash = Math.imul(hash ^ text.charCodeAt(place), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) | 0;
}

/** What there was no room to learn, and what was stored before patterns were. */
export const anything = minedPattern(wildcard);
