import {
  type AuditEvent,
  type AuditHead,
  type AuditListRequest,
  auditText,
  firstPreviousHash,
} from "./protocol/audit.ts";
import { member, type RequestOptions, type Transport } from "./transport.ts";

export interface AuditPage {
  /** Newest first. */
  readonly items: readonly AuditEvent[];
  readonly nextCursor: string | null;
  /** The end of the organization's chain, whatever was filtered. */
  readonly head: AuditHead;
}

/**
 * What is wrong with the first event (the lowest number) that does not hold:
 *
 * - `missing`: there is no event of this number
 * - `altered`: its hash is not that of its content
 * - `unlinked`: the event after it, or a head, carries another hash for it; or it is the first and names one before it
 */
export interface AuditFault {
  readonly seq: number;
  readonly problem: "missing" | "altered" | "unlinked";
  /** The event as it is; undefined when it is missing. */
  readonly event: AuditEvent | undefined;
}

export interface AuditVerification {
  readonly ok: boolean;
  /** How many were read. */
  readonly events: number;
  /** Note it down: what is cut off or written anew later shows against it. */
  readonly head: AuditHead;
  readonly fault?: AuditFault;
}

export interface VerifyOptions extends RequestOptions {
  /** A head from an earlier verification, which has to be part of the chain still. */
  readonly known?: AuditHead | undefined;
  /** Told after each page. */
  readonly onProgress?: ((events: number, head: AuditHead) => void) | undefined;
}

export type Audit = ReturnType<typeof audit>;

const verifyPageSize = 1000;

export const audit = (transport: Transport) => {
  async function list(request: AuditListRequest = {}, options?: RequestOptions): Promise<AuditPage> {
    const answer = await transport.send({ method: "GET", path: "/audit", query: { ...request }, ...options });
    const { nextCursor = null } = answer as { readonly nextCursor?: string | null };
    return { items: member(answer, "events"), nextCursor, head: member(answer, "head") };
  }

  return {
    /** What was done in the organization, newest first. */
    list,

    /** Reads the whole chain and computes every hash anew. */
    async verify({ known, onProgress, ...options }: VerifyOptions = {}): Promise<AuditVerification> {
      let page = await list({ limit: verifyPageSize }, options);
      const { head } = page;
      const chain = new ChainReader(head, known);
      for (;;) {
        // Those that came while the head was read are of no concern to it.
        for (const event of page.items) if (event.seq <= head.seq) await chain.read(event);
        onProgress?.(chain.events, head);
        const cursor = page.nextCursor;
        if (cursor === null) break;
        page = await list({ limit: verifyPageSize, cursor }, options);
        if (page.nextCursor === cursor) throw new TypeError("The service answered with the same cursor twice.");
      }
      const fault = chain.end();
      return { ok: fault === undefined, events: chain.events, head, ...(fault && { fault }) };
    },
  };
};

/** Takes the events of a chain from its head down to the first, and remembers the lowest that does not hold. */
class ChainReader {
  events = 0;
  #fault: AuditFault | undefined;
  #last: AuditEvent | undefined;
  /** What the event above says of the next one. */
  #expected: AuditHead;
  readonly #known: AuditHead | undefined;

  constructor(head: AuditHead, known: AuditHead | undefined) {
    this.#expected = head;
    this.#known = known;
    // A chain that ends before what was seen of it has lost its end.
    if (known && known.seq > head.seq) this.#found({ seq: head.seq + 1, problem: "missing", event: undefined });
  }

  async read(event: AuditEvent): Promise<void> {
    this.events++;
    this.#last = event;
    const { seq, hash } = event;
    const contentHash = await sha256(auditText(event));
    if (seq !== this.#expected.seq) this.#missing(seq + 1);
    else if (hash !== this.#expected.hash) this.#found({ seq, problem: "unlinked", event });
    if (this.#known?.seq === seq && this.#known.hash !== hash) this.#found({ seq, problem: "unlinked", event });
    if (contentHash !== hash) this.#found({ seq, problem: "altered", event });
    this.#expected = { seq: seq - 1, hash: event.previousHash };
  }

  end(): AuditFault | undefined {
    const { seq, hash } = this.#expected;
    if (seq !== 0) this.#missing(1);
    else if (hash !== firstPreviousHash) this.#found({ seq: 1, problem: "unlinked", event: this.#last });
    return this.#fault;
  }

  #missing(lowest: number): void {
    this.#found({ seq: lowest, problem: "missing", event: undefined });
  }

  /** They come from the top, so the latest is the first of the chain. */
  #found(fault: AuditFault): void {
    this.#fault = fault;
  }
}

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
