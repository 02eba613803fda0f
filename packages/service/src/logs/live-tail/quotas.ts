import { ApiError } from "../../errors.ts";

/** Tails at once, and the sizes of their queries together: a query takes about five times its JSON in memory. */
export const tailQuotas = {
  key: { tails: 20, queryCharacters: 500_000 },
  project: { tails: 200, queryCharacters: 2_000_000 },
  organization: { tails: 500, queryCharacters: 8_000_000 },
  process: { tails: 1_000, queryCharacters: 16_000_000 },
};

type Scope = keyof typeof tailQuotas;

interface TailOwner {
  readonly keyId: string;
  readonly projectNumber: number;
  readonly organizationId: string;
}

interface Use {
  tails: number;
  queryCharacters: number;
}

export class TailQuotas {
  readonly #uses = new Map<string, Use>();

  get tails(): number {
    return this.#uses.get("process")?.tails ?? 0;
  }

  /** Counts a tail until the function it returns is called. Throws 429 when there are too many. */
  take(owner: TailOwner, queryCharacters: number): () => void {
    const scopes: readonly (readonly [Scope, string])[] = [
      ["key", `key ${owner.keyId}`],
      ["project", `project ${owner.projectNumber}`],
      ["organization", `organization ${owner.organizationId}`],
      ["process", "process"],
    ];
    for (const [scope, name] of scopes) this.#check(scope, this.#uses.get(name), queryCharacters);
    for (const [, name] of scopes) this.#add(name, { tails: 1, queryCharacters });
    let isTaken = true;
    return () => {
      if (!isTaken) return;
      isTaken = false;
      for (const [, name] of scopes) this.#add(name, { tails: -1, queryCharacters: -queryCharacters });
    };
  }

  #check(scope: Scope, use: Use | undefined, queryCharacters: number): void {
    const limit = tailQuotas[scope];
    const who = scope === "process" ? "The service" : `${scope === "organization" ? "An" : "A"} ${scope}`;
    if ((use?.tails ?? 0) >= limit.tails) {
      throw tooMany(`${who} may have ${limit.tails} tails at once. Close one of them, or try again later.`);
    }
    if ((use?.queryCharacters ?? 0) + queryCharacters > limit.queryCharacters) {
      throw tooMany(`The queries of the tails at once are too large. Close one of them, or use a shorter query.`);
    }
  }

  #add(name: string, { tails, queryCharacters }: Use): void {
    const use = this.#uses.get(name) ?? { tails: 0, queryCharacters: 0 };
    use.tails += tails;
    use.queryCharacters += queryCharacters;
    if (use.tails > 0) this.#uses.set(name, use);
    else this.#uses.delete(name);
  }
}

function tooMany(message: string): ApiError {
  return new ApiError("RATE_LIMIT_EXCEEDED", message, { retryAfterSeconds: 5 });
}
