import { tmpdir } from "node:os";
import pg from "pg";
import { openService, type ServiceOptions } from "../../src/compose.ts";
import { freshDatabase } from "./database.ts";
import { newKeyring } from "./keyring.ts";

export interface TestService {
  readonly url: string;
  /** Of the metrics, where the test asked for them. */
  readonly metricsUrl: string | undefined;
  /** Of the organization `default`, full access. */
  readonly secretKey: string;
  /** Of its project `default`. */
  readonly publicKey: string;
  readonly organizationId: string;
  readonly projectId: string;
  readonly databaseUrl: string;
  /** For another service on the same database. */
  readonly keyrings: Pick<ServiceOptions, "keyPepper" | "masterKey">;
  /** Stops the service, and drops its database if it was made for it. */
  close(options?: { readonly keepDatabase: boolean }): Promise<void>;
  /** Drops a database that was kept. */
  drop(): Promise<void>;
}

/** The real service on a database of its own, listening on a free loopback port, as after its first start. */
export async function startTestService(options: Partial<ServiceOptions> = {}): Promise<TestService> {
  const database = options.databaseUrl ? undefined : await freshDatabase();
  const databaseUrl = options.databaseUrl ?? (database?.url as string);
  const keyrings = { keyPepper: newKeyring(), masterKey: newKeyring() };
  const drop = async () => database?.drop();
  const service = await openService({
    host: "127.0.0.1",
    port: 0,
    dataDir: tmpdir(),
    ...keyrings,
    logRetentionDays: 30,
    trustedProxies: undefined,
    redisUrl: undefined,
    ...options,
    databaseUrl,
  });
  const { secretKey, publicKey } = service.firstKeys ?? { secretKey: "", publicKey: "" };
  const { rows } = await queryDatabase(databaseUrl, "select id, organization_id from projects order by number limit 1");
  return {
    url: service.url,
    metricsUrl: service.metricsUrl,
    secretKey,
    publicKey,
    organizationId: rows[0].organization_id,
    projectId: rows[0].id,
    databaseUrl,
    keyrings,
    async close({ keepDatabase } = { keepDatabase: false }) {
      await service.close();
      if (!keepDatabase) await drop();
    },
    drop,
  };
}

/** Looks behind the service, at what is in its database. */
export async function queryDatabase(
  databaseUrl: string,
  text: string,
  values: unknown[] = [],
): Promise<pg.QueryResult> {
  const client = new pg.Client({
    connectionString: databaseUrl,
    options: "-c search_path=sazabi,public -c timezone=UTC",
  });
  await client.connect();
  try {
    return await client.query(text, values);
  } finally {
    await client.end();
  }
}

/** The value of a metric without labels. The service has to be started with `metrics`. */
export async function readMetric({ metricsUrl }: TestService, name: string): Promise<number> {
  const text = await (await fetch(metricsUrl as string)).text();
  return Number(new RegExp(`^${name} (.*)$`, "m").exec(text)?.[1]);
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into any body.
  readonly body: any;
  readonly text: string;
}

/** A request as a stranger would send it. A string or bytes go out as they are, anything else as JSON. */
export async function send(
  service: { readonly url: string },
  request: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: unknown } = {},
): Promise<Answer> {
  const [method, path] = request.split(" ") as [string, string];
  const isRaw = typeof body === "string" || body instanceof Uint8Array;
  const response = await fetch(new URL(path, service.url), {
    method,
    headers: { ...(body !== undefined && !isRaw && { "content-type": "application/json" }), ...headers },
    body: (isRaw ? body : body === undefined ? null : JSON.stringify(body)) as NonNullable<RequestInit["body"]> | null,
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, body: text && jsonOrText(text) };
}

/** The headers of a secret key, as spec/1 sends it. */
export function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}

function jsonOrText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
