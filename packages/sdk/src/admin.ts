import { type Audit, audit } from "./audit.ts";
import { requireKey } from "./credential.ts";
import { SazabiApiError } from "./errors.ts";
import type {
  LogContext,
  LogContextRequest,
  LogFacet,
  LogFacetRequest,
  LogPatterns,
  LogPatternsRequest,
  LogSchema,
  LogSchemaRequest,
  LogVolume,
  LogVolumeRequest,
  NativeQueryRequest,
  NativeQueryResult,
} from "./protocol/log-reading.ts";
import type {
  Created,
  CreatePublicKeyRequest,
  CreateSecretKeyRequest,
  IdentifiedKey,
  KeyFilter,
  KeyUsage,
  KeyUsageRequest,
  LogEntry,
  LogFilter,
  LogQueryRequest,
  LogQueryResult,
  Me,
  Organization,
  PageRequest,
  Project,
  PublicKey,
  Region,
  RevokeAllRequest,
  RevokeAllResult,
  RotateKeyRequest,
  SecretKey,
  Thread,
  UpdateKeyRequest,
} from "./protocol/resources.ts";
import type {
  CreateSavedQueryRequest,
  ExecuteSavedQueryRequest,
  ListSavedQueriesRequest,
  SavedQuery,
  UpdateSavedQueryRequest,
} from "./protocol/saved-queries.ts";
import { type TailOptions, type TailRequest, tail } from "./tail.ts";
import {
  type ConnectionOptions,
  type CreateOptions,
  member,
  path,
  type RequestOptions,
  Transport,
} from "./transport.ts";

export interface SazabiAdminOptions extends ConnectionOptions {
  /** `sk_live_…` or `sazabi_secret_…`. */
  readonly secretKey: string;
  /** Names the caller to the service, e.g. `cli`. */
  readonly clientSource?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Null on the last page. */
  readonly nextCursor: string | null;
}

/** Left out, the service takes the only project that the key can see, or refuses with `missingContext`. */
export interface InProject {
  readonly projectId?: string | undefined;
}

/** For what may leave the organization without a key that can administer it, which the service refuses (409) otherwise. */
interface Forced {
  readonly force?: boolean | undefined;
}

/** How a secret key is ended. */
export interface Revocation extends Forced {
  readonly reason?: string | undefined;
}

/** Everything a secret key can do. Keep it on servers: the key has full access to its organization. */
export class SazabiAdmin {
  readonly organizations: Organizations;
  readonly projects: Projects;
  readonly secretKeys: SecretKeys;
  readonly publicKeys: PublicKeys;
  readonly keys: Keys;
  readonly logs: Logs;
  readonly queries: Queries;
  readonly threads: Threads;
  readonly audit: Audit;
  readonly #transport: Transport;

  constructor(options: SazabiAdminOptions) {
    const key = requireKey("secretKey", "secret", options?.secretKey);
    const transport = new Transport(options, {
      authorization: `Bearer ${key}`,
      "x-sazabi-client-source": options.clientSource ?? "sdk",
    });
    this.#transport = transport;
    this.organizations = organizations(transport);
    this.projects = projects(transport);
    this.secretKeys = secretKeys(transport);
    this.publicKeys = publicKeys(transport);
    this.keys = keys(transport);
    this.logs = logs(transport);
    this.queries = queries(transport);
    this.threads = threads(transport);
    this.audit = audit(transport);
  }

  /** Whose key this is, and what it may do. */
  async me(options?: RequestOptions): Promise<Me> {
    const answer = await this.#transport.send({ method: "GET", path: "/me", ...options });
    member(answer, "organization");
    return answer as Me;
  }
}

export type Organizations = ReturnType<typeof organizations>;
export type Projects = ReturnType<typeof projects>;
export type SecretKeys = ReturnType<typeof secretKeys>;
export type PublicKeys = ReturnType<typeof publicKeys>;
export type Keys = ReturnType<typeof keys>;
export type Logs = ReturnType<typeof logs>;
export type Queries = ReturnType<typeof queries>;
export type Threads = ReturnType<typeof threads>;

const organizations = (transport: Transport) => ({
  async list(options?: RequestOptions): Promise<readonly Organization[]> {
    return member(await transport.send({ method: "GET", path: "/organizations", ...options }), "organizations");
  },

  async get(id: string, options?: RequestOptions): Promise<Organization> {
    return member(
      await transport.send({ method: "GET", path: path`/organizations/${id}`, ...options }),
      "organization",
    );
  },
});

const projects = (transport: Transport) => ({
  /** The projects that the key can see. */
  async list(options?: RequestOptions): Promise<readonly Project[]> {
    return member(await transport.send({ method: "GET", path: "/projects", ...options }), "projects");
  },

  async get(id: string, options?: RequestOptions): Promise<Project> {
    return member(await transport.send({ method: "GET", path: path`/projects/${id}`, ...options }), "project");
  },

  async create(body: { readonly name: string; readonly region?: Region }, options?: CreateOptions): Promise<Project> {
    return member(await transport.send({ method: "POST", path: "/projects", body, ...options }), "project");
  },

  async update(
    id: string,
    body: { readonly name?: string; readonly retentionDays?: number | null },
    options?: RequestOptions,
  ): Promise<Project> {
    return member(await transport.send({ method: "PATCH", path: path`/projects/${id}`, body, ...options }), "project");
  },
});

const forceQuery = (force: boolean | undefined) => ({ force: force ? "true" : undefined });

const secretKeys = (transport: Transport) => ({
  async list(page: PageRequest & KeyFilter = {}, options?: RequestOptions): Promise<Page<SecretKey>> {
    return readPage(
      await transport.send({ method: "GET", path: "/secret-keys", query: { ...page }, ...options }),
      "secretKeys",
    );
  },

  async get(id: string, options?: RequestOptions): Promise<SecretKey> {
    return member(await transport.send({ method: "GET", path: path`/secret-keys/${id}`, ...options }), "secretKey");
  },

  /** `value` is the key itself. It is shown this once and cannot be read again. */
  async create(body: CreateSecretKeyRequest, options?: CreateOptions): Promise<Created<SecretKey>> {
    return member(await transport.send({ method: "POST", path: "/secret-keys", body, ...options }), "secretKey");
  },

  async update(
    id: string,
    body: UpdateKeyRequest,
    { force, ...options }: RequestOptions & Forced = {},
  ): Promise<SecretKey> {
    const request = { method: "PATCH", path: path`/secret-keys/${id}`, query: forceQuery(force), body } as const;
    return member(await transport.send({ ...request, ...options }), "secretKey");
  },

  /**
   * Revokes the key immediately and permanently, also the one that asks. The service refuses (409) to end the organization's last
   * key that can administer it, unless `force` is set. `reason`, up to 200 characters, goes on the record.
   */
  async revoke(id: string, options: RequestOptions & Revocation = {}): Promise<void> {
    const { force, reason, ...rest } = options;
    const query = { ...forceQuery(force), reason };
    await transport.send({ method: "DELETE", path: path`/secret-keys/${id}`, query, ...rest });
  },

  ...rotation<SecretKey>(transport, "secretKey", (id) => path`/secret-keys/${id}`),
});

const publicKeys = (transport: Transport) => ({
  async list(page: PageRequest & KeyFilter & InProject = {}, options?: RequestOptions): Promise<Page<PublicKey>> {
    return readPage(
      await transport.send({ method: "GET", path: "/public-keys", query: { ...page }, ...options }),
      "publicKeys",
    );
  },

  async get(id: string, { projectId, ...options }: RequestOptions & InProject = {}): Promise<PublicKey> {
    const request = { method: "GET", path: path`/public-keys/${id}`, query: { projectId }, ...options } as const;
    return member(await transport.send(request), "publicKey");
  },

  /** `value` is the key itself, shown this once. */
  async create(body: CreatePublicKeyRequest, options?: CreateOptions): Promise<Created<PublicKey>> {
    return member(await transport.send({ method: "POST", path: "/public-keys", body, ...options }), "publicKey");
  },

  async update(id: string, body: UpdateKeyRequest & InProject, options?: RequestOptions): Promise<PublicKey> {
    return member(
      await transport.send({ method: "PATCH", path: path`/public-keys/${id}`, body, ...options }),
      "publicKey",
    );
  },

  /** Revokes the key immediately and permanently. */
  async deactivate(id: string, { projectId, ...options }: RequestOptions & InProject = {}): Promise<PublicKey> {
    const deactivation = path`/public-keys/${id}/deactivate`;
    return member(
      await transport.send({ method: "POST", path: deactivation, query: { projectId }, ...options }),
      "publicKey",
    );
  },

  /** The one public key that log forwarding uses in a project; made when there is none. `value` comes every time. */
  async ensureLogForwarding(body: InProject = {}, options?: RequestOptions): Promise<Created<PublicKey>> {
    return member(
      await transport.send({
        method: "POST",
        path: "/public-keys/log-forwarding/ensure",
        body,
        safe: true,
        ...options,
      }),
      "publicKey",
    );
  },

  ...rotation<PublicKey>(transport, "publicKey", (id) => path`/public-keys/${id}`),
});

interface FinishRotation extends RequestOptions {
  readonly graceSeconds?: number | undefined;
}

/** What both kinds of key have: a new secret for the same key, while the one before works for a time of grace. */
const rotation = <K>(transport: Transport, name: string, pathOf: (id: string) => string) => ({
  /**
   * `value` is the new secret, shown this once; the previous one works for `graceSeconds` more (default 3600). With an
   * `idempotencyKey` the same request gets the same secret again, for a day.
   */
  async rotate(id: string, body: RotateKeyRequest = {}, options?: CreateOptions): Promise<Created<K>> {
    return member(await transport.send({ method: "POST", path: `${pathOf(id)}/rotate`, body, ...options }), name);
  },

  /**
   * Ends the grace now: only the new secret works. With `graceSeconds` it ends so long from now, or when it ends anyway,
   * whichever comes first.
   */
  async finishRotation(id: string, { graceSeconds, ...options }: FinishRotation = {}): Promise<K> {
    const finishing = { method: "POST", path: `${pathOf(id)}/rotate/finish`, query: { graceSeconds } } as const;
    return member(await transport.send({ ...finishing, ...options }), name);
  },

  /** Takes the rotation back: only the previous secret works. */
  async cancelRotation(id: string, options?: RequestOptions): Promise<K> {
    return member(await transport.send({ method: "POST", path: `${pathOf(id)}/rotate/cancel`, ...options }), name);
  },
});

const keys = (transport: Transport) => ({
  /** Finds the key of this organization that `key` is a secret of, whether it still works or not. 404 when there is none. */
  async identify(key: string, options?: RequestOptions): Promise<IdentifiedKey> {
    const request = { method: "POST", path: "/keys/identify", body: { key }, safe: true, ...options } as const;
    const answer = await transport.send(request);
    member(answer, "keyId");
    return answer as IdentifiedKey;
  },

  /** How often a key of either kind was used, by interval and by secret. */
  async usage(id: string, window: KeyUsageRequest = {}, options?: RequestOptions): Promise<KeyUsage> {
    const request = { method: "GET", path: path`/keys/${id}/usage`, query: { ...window }, ...options } as const;
    const answer = await transport.send(request);
    member(answer, "points");
    return answer as KeyUsage;
  },

  /** Ends every key, or those that the filters name; when it returns, none of them is accepted anywhere. */
  async revokeAll(
    body: RevokeAllRequest,
    { force, ...options }: RequestOptions & Forced = {},
  ): Promise<RevokeAllResult> {
    const request = { method: "POST", path: "/keys/revoke-all", query: forceQuery(force), body } as const;
    const answer = await transport.send({ ...request, ...options });
    member(answer, "revoked");
    return answer as RevokeAllResult;
  },
});

const logs = (transport: Transport) => {
  /** One page, newest first unless `sort` says otherwise. */
  async function query(body: LogQueryRequest, options?: RequestOptions): Promise<LogQueryResult> {
    const answer = await transport.send({ method: "POST", path: "/logs/query", body, safe: true, ...options });
    member(answer, "data");
    return answer as LogQueryResult;
  }

  /** Page after page, to the end or until the caller stops reading. */
  async function* queryPages(body: LogQueryRequest, options?: RequestOptions): AsyncGenerator<LogQueryResult> {
    let cursor = body.pagination?.cursor;
    let filters = body.filters ?? [];
    for (;;) {
      const pagination = { limit: maxQueryPage, ...body.pagination, ...(cursor === undefined ? {} : { cursor }) };
      const page = await query({ ...body, filters, pagination }, options);
      yield page;
      // The service looks back from now; from the second page on, "now" is when the first was asked for.
      if (!filters.some(isAboutTime)) {
        filters = [...filters, { field: "timestamp", op: "gte", value: page.meta.from }];
      }
      if (page.nextCursor === null || page.nextCursor === undefined) return;
      if (page.nextCursor === cursor) throw stuckCursor();
      cursor = page.nextCursor;
    }
  }

  return {
    query,
    queryPages,

    /** Entry after entry, to the end or until the caller stops reading; a page is asked for when it is needed. */
    async *queryAll(body: LogQueryRequest, options?: RequestOptions): AsyncGenerator<LogEntry> {
      for await (const page of queryPages(body, options)) yield* page.data;
    },

    /** How many entries there are, by time. */
    async volume(body: LogVolumeRequest = {}, options?: RequestOptions): Promise<LogVolume> {
      const answer = await transport.send({ method: "POST", path: "/logs/volume", body, safe: true, ...options });
      member(answer, "series");
      return answer as LogVolume;
    },

    /** The most frequent values of a field. */
    async facets(body: LogFacetRequest, options?: RequestOptions): Promise<LogFacet> {
      const answer = await transport.send({ method: "POST", path: "/logs/facets", body, safe: true, ...options });
      member(answer, "values");
      return answer as LogFacet;
    },

    /** What kinds of messages there are, and how many of each. */
    async patterns(body: LogPatternsRequest = {}, options?: RequestOptions): Promise<LogPatterns> {
      const answer = await transport.send({ method: "POST", path: "/logs/patterns", body, safe: true, ...options });
      member(answer, "patterns");
      return answer as LogPatterns;
    },

    /** What can be asked for: services and attributes of the last day. */
    async schema(body: LogSchemaRequest = {}, options?: RequestOptions): Promise<LogSchema> {
      const answer = await transport.send({ method: "POST", path: "/logs/schema", body, safe: true, ...options });
      member(answer, "observedAttributeKeys");
      return answer as LogSchema;
    },

    /** Read-only SQL over the entries of one project: docs/api.md says what it may hold. */
    async nativeQuery(body: NativeQueryRequest, options?: RequestOptions): Promise<NativeQueryResult> {
      const answer = await transport.send({ method: "POST", path: "/logs/native-query", body, safe: true, ...options });
      member(answer, "result");
      return answer as NativeQueryResult;
    },

    /** One entry, and what stands around it in its project. */
    async get(
      id: string,
      { projectId, before, after, ...options }: RequestOptions & LogContextRequest = {},
    ): Promise<LogContext> {
      const query = { projectId, before, after };
      const answer = await transport.send({ method: "GET", path: path`/logs/${id}`, query, ...options });
      member(answer, "log");
      return answer as LogContext;
    },

    /**
     * Entries as they are committed, each once and ascending by id, until the caller stops reading or aborts. A lost
     * connection is made again from the last entry on, and `onGap` is told.
     */
    tail: (request: TailRequest = {}, options?: TailOptions) => tail(transport, request, options),
  };
};

const queries = (transport: Transport) => ({
  async list(page: ListSavedQueriesRequest = {}, options?: RequestOptions): Promise<Page<SavedQuery>> {
    return readPage(
      await transport.send({ method: "GET", path: "/queries", query: { ...page }, ...options }),
      "queries",
    );
  },

  async get(id: string, options?: RequestOptions): Promise<SavedQuery> {
    return member(await transport.send({ method: "GET", path: path`/queries/${id}`, ...options }), "query");
  },

  async create(body: CreateSavedQueryRequest, options?: CreateOptions): Promise<SavedQuery> {
    return member(await transport.send({ method: "POST", path: "/queries", body, ...options }), "query");
  },

  async update(id: string, body: UpdateSavedQueryRequest, options?: RequestOptions): Promise<SavedQuery> {
    return member(await transport.send({ method: "PATCH", path: path`/queries/${id}`, body, ...options }), "query");
  },

  async delete(id: string, options?: RequestOptions): Promise<void> {
    await transport.send({ method: "DELETE", path: path`/queries/${id}`, ...options });
  },

  /** One page of what it finds now. */
  async execute(id: string, body: ExecuteSavedQueryRequest = {}, options?: RequestOptions): Promise<LogQueryResult> {
    const execution = path`/queries/${id}/execute`;
    const answer = await transport.send({ method: "POST", path: execution, body, safe: true, ...options });
    member(answer, "data");
    return answer as LogQueryResult;
  },
});

const threads = (transport: Transport) => ({
  async list(
    page: PageRequest & InProject & { readonly status?: Thread["status"] } = {},
    options?: RequestOptions,
  ): Promise<Page<Thread>> {
    return readPage(
      await transport.send({ method: "GET", path: "/threads", query: { ...page }, ...options }),
      "threads",
    );
  },
});

const maxQueryPage = 1000;

const isAboutTime = ({ field }: LogFilter) => field === "timestamp" || field === "@timestamp";

function readPage<T>(answer: unknown, name: string): Page<T> {
  const items = member<readonly T[]>(answer, name);
  return { items, nextCursor: (answer as { nextCursor?: string | null }).nextCursor ?? null };
}

function stuckCursor(): SazabiApiError {
  return new SazabiApiError("The service answered with the same cursor twice.", {
    code: "UNEXPECTED_ANSWER",
    status: 200,
  });
}
