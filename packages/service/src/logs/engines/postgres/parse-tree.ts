/** A node of a parse tree, as PostgreSQL writes it down (`pg_node_tree`). */
export interface TreeNode {
  readonly kind: string;
  readonly fields: Readonly<Record<string, TreeValue>>;
}

export type TreeValue = TreeNode | readonly TreeValue[] | string;

/** Deeper trees are refused: PostgreSQL and this reader both recurse. */
const maxDepth = 500;

export class TreeTooDeep extends Error {}

/**
 * Reads what PostgreSQL's `nodeToString` wrote. A backslash in it quotes the next character, so a name of the author's is
 * always one word. Throws `TreeTooDeep`.
 */
export function readTree(text: string): TreeValue {
  return new TreeReader(text).value(0);
}

export function isNode(value: TreeValue | undefined): value is TreeNode {
  return typeof value === "object" && !Array.isArray(value);
}

/** The nodes in a list; of anything else none. */
export function nodesIn(value: TreeValue | undefined): readonly TreeNode[] {
  return Array.isArray(value) ? (value as readonly TreeValue[]).filter(isNode) : [];
}

/** The nodes directly below this one. */
export function childrenOf(node: TreeNode): readonly TreeNode[] {
  return Object.values(node.fields).flatMap(nodesBelow);
}

function nodesBelow(value: TreeValue): readonly TreeNode[] {
  if (typeof value === "string") return [];
  return isNode(value) ? [value] : value.flatMap(nodesBelow);
}

/** The node and all below it. */
export function* everyNode(value: TreeValue): Generator<TreeNode> {
  for (const node of nodesBelow(value)) {
    yield node;
    for (const child of Object.values(node.fields)) yield* everyNode(child);
  }
}

class TreeReader {
  readonly #words: readonly string[];
  #place = 0;

  constructor(text: string) {
    this.#words = text.match(/[(){}]|(?:\\[\s\S]|[^\s(){}\\])+/g) ?? [];
  }

  value(depth: number): TreeValue {
    if (depth > maxDepth) throw new TreeTooDeep();
    const word = this.#next();
    if (word === "{") return this.#node(depth);
    return word === "(" ? this.#list(depth) : word;
  }

  #node(depth: number): TreeNode {
    const kind = this.#next();
    const fields: Record<string, TreeValue> = Object.create(null);
    for (let label = this.#next(); label !== "}"; label = this.#next()) {
      fields[label.slice(1)] = label === ":constvalue" ? this.#constant() : this.value(depth + 1);
    }
    return { kind, fields };
  }

  #list(depth: number): readonly TreeValue[] {
    const values: TreeValue[] = [];
    while (this.#words[this.#place] !== ")") values.push(this.value(depth + 1));
    this.#place += 1;
    return values;
  }

  /** `<>` for null; else the number of bytes, and the bytes in brackets. */
  #constant(): readonly string[] {
    if (this.#next() === "<>") return [];
    const from = this.#place + 1;
    const end = this.#words.indexOf("]", from);
    this.#place = end + 1;
    return this.#words.slice(from, end);
  }

  #next(): string {
    const word = this.#words[this.#place];
    if (word === undefined) throw new Error("A parse tree of PostgreSQL's ends early.");
    this.#place += 1;
    return word;
  }
}
