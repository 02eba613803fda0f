import { requireKey } from "./credential.ts";
import type { IntakeResult, LogInput } from "./protocol/resources.ts";
import { type ConnectionOptions, type CreateOptions, member, Transport } from "./transport.ts";

export interface SazabiOptions extends ConnectionOptions {
  /** `pk_live_…` or `sazabi_public_…`. */
  readonly publicKey: string;
  /** Gzip. Given it, bodies worth the trouble travel compressed. */
  readonly compress?: ((body: string) => Promise<Uint8Array<ArrayBuffer>>) | undefined;
}

/** Everything a public key can do: write logs to its project. Safe to ship to browsers. */
export class Sazabi {
  readonly logs: Intake;

  constructor(options: SazabiOptions) {
    const key = requireKey("publicKey", "public", options?.publicKey);
    this.logs = intake(new Transport(options, { "x-sazabi-key": key }), options);
  }
}

export type Intake = ReturnType<typeof intake>;

/** Smaller bodies do not win enough to be compressed. */
const compressFromLength = 1024;

const intake = (transport: Transport, { compress }: SazabiOptions) => {
  async function post(body: string, contentType: string, options?: CreateOptions): Promise<IntakeResult> {
    const packed = compress && body.length >= compressFromLength ? await compress(body) : undefined;
    const headers = { "content-type": contentType, ...(packed ? { "content-encoding": "gzip" } : {}) };
    const raw = { content: packed ?? body, headers };
    return member(await transport.send({ method: "POST", path: "/logs", raw, ...options }), "data");
  }

  return {
    /**
     * Sends one request. When it returns, the accepted entries are on disk; those that could not be stored are
     * listed in `rejected`. The limits of one request are in `intakeLimits`.
     */
    send(entries: LogInput | readonly LogInput[], options?: CreateOptions): Promise<IntakeResult> {
      return post(JSON.stringify(entries), "application/json", options);
    },

    /** The same for entries that are JSON text already: one object a line. */
    sendLines(ndjson: string, options?: CreateOptions): Promise<IntakeResult> {
      return post(ndjson, "application/x-ndjson", options);
    },
  };
};
