import { homedir } from "node:os";
import { join } from "node:path";
import { type Keyring, parseKeyring } from "./crypto/keyring.ts";
import { type AddressList, addressList, parseAddressRange } from "./net/ip-ranges.ts";

/** Configuration of the process from the environment. It is read once, in this file only. */
export interface Config {
  readonly host: string;
  /** 0 selects any free port. */
  readonly port: number;
  /** Undefined: the service runs its own PostgreSQL under `dataDir`. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  /** Undefined: generated at the first start and stored in `dataDir`. */
  readonly keyPepper: Keyring | undefined;
  readonly masterKey: Keyring | undefined;
  readonly logRetentionDays: number;
  /** Undefined: logs are stored in the same PostgreSQL as all other data. */
  readonly logStore: ClickHouseAddress | undefined;
  /** Bytes of log entries that a project may send per second on average. */
  readonly intakeBytesPerSecond: number;
  /** Trusted proxies, whose `X-Forwarded-For` is used. Undefined: the peer of the connection is the client. */
  readonly trustedProxies: AddressList | undefined;
  /** URL of the Redis in which processes share their rate limits. Undefined: each process counts separately. */
  readonly redisUrl: string | undefined;
  /** Address of the metrics listener. Undefined: metrics are not served. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined;
  /** File with the public keys of GitHub secret scanning. Undefined: its reports are rejected. */
  readonly githubScanningKeys: string | undefined;
}

/** Address of a ClickHouse server and its credentials. */
export interface ClickHouseAddress {
  /** URL of the HTTP interface, without user or password. */
  readonly url: string;
  readonly user: string;
  readonly password: string;
  readonly database: string;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** More than a process on a small machine can store, so there is no effective limit by default. */
export const defaultIntakeBytesPerSecond = 100_000_000;

/** An invalid variable. The message names it and its valid values. */
export class ConfigError extends Error {}

const known = new Set([
  "SAZABI_DATA_DIR",
  "SAZABI_GITHUB_SCANNING_KEYS",
  "SAZABI_INTAKE_BYTES_PER_SECOND",
  "SAZABI_KEY_PEPPER",
  "SAZABI_LOG_RETENTION",
  "SAZABI_LOG_STORE",
  "SAZABI_MASTER_KEY",
  "SAZABI_METRICS_HOST",
  "SAZABI_METRICS_PORT",
  "SAZABI_TRUSTED_PROXIES",
  // Used by the command line and the SDK; allowed here.
  "SAZABI_API_URL",
  "SAZABI_CA_FILE",
  "SAZABI_CONFIG_DIR",
  "SAZABI_KEYCHAIN_TIMEOUT",
  "SAZABI_ORGANIZATION_ID",
  "SAZABI_PAGER",
  "SAZABI_PROFILE",
  "SAZABI_PROJECT_ID",
  "SAZABI_PUBLIC_KEY",
  "SAZABI_SECRET_KEY",
  "SAZABI_TOKEN",
]);

/** Reads the configuration. Throws `ConfigError`, which names the variable, for an unknown or invalid variable. */
export function readConfig(env: Environment): Config {
  for (const name of Object.keys(env)) {
    if (name.startsWith("SAZABI_") && !known.has(name)) {
      throw new ConfigError(`${name} is not a variable that Sazabi knows. docs/operations.md lists them.`);
    }
  }
  return {
    host: text(env, "HOST") ?? "127.0.0.1",
    port: integer(env, "PORT", { minimum: 0, maximum: 65_535, unit: "a port number" }) ?? 4600,
    databaseUrl: databaseUrl(env),
    dataDir: text(env, "SAZABI_DATA_DIR") ?? defaultDataDir(env),
    keyPepper: keyring(env, "SAZABI_KEY_PEPPER"),
    masterKey: keyring(env, "SAZABI_MASTER_KEY"),
    logRetentionDays: days(env, "SAZABI_LOG_RETENTION") ?? 30,
    logStore: clickHouseAddress(env, "SAZABI_LOG_STORE"),
    intakeBytesPerSecond:
      integer(env, "SAZABI_INTAKE_BYTES_PER_SECOND", {
        minimum: 1024,
        maximum: 999_999_999,
        unit: "a number of bytes",
      }) ?? defaultIntakeBytesPerSecond,
    trustedProxies: proxies(env, "SAZABI_TRUSTED_PROXIES"),
    redisUrl: redisUrl(env),
    metrics: metrics(env),
    githubScanningKeys: text(env, "SAZABI_GITHUB_SCANNING_KEYS"),
  };
}

/** Returns a variable. Empty values count as unset, since shells and compose files pass them. */
function text(env: Environment, name: string): string | undefined {
  const value = env[name]?.trim();
  return value === "" ? undefined : value;
}

function integer(
  env: Environment,
  name: string,
  { minimum, maximum, unit }: { minimum: number; maximum: number; unit: string },
): number | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const number = /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= minimum && number <= maximum)) {
    throw new ConfigError(`${name} must be ${unit} from ${minimum} to ${maximum}, not "${value}".`);
  }
  return number;
}

function days(env: Environment, name: string): number | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const number = /^(\d{1,4})d$/.exec(value)?.[1];
  if (number === undefined || Number(number) < 1 || Number(number) > 3650) {
    throw new ConfigError(`${name} must be a number of days such as 30d, from 1d to 3650d, not "${value}".`);
  }
  return Number(number);
}

function databaseUrl(env: Environment): string | undefined {
  const value = text(env, "DATABASE_URL");
  if (value === undefined) return undefined;
  // The value contains a password, so it is never repeated.
  if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(value)) {
    throw new ConfigError("DATABASE_URL must look like postgres://user:password@host:5432/database.");
  }
  return value;
}

function clickHouseAddress(env: Environment, name: string): ClickHouseAddress | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const address = parseClickHouseUrl(value);
  // The value contains a password, so it is never repeated.
  if (!address) {
    throw new ConfigError(
      `${name} must look like clickhouse://user:password@host:8123/database, or clickhouses://… for TLS (port 8443).`,
    );
  }
  return address;
}

/** Parses the URL of the HTTP interface; returns undefined for an invalid URL. */
export function parseClickHouseUrl(value: string): ClickHouseAddress | undefined {
  if (!/^clickhouses?:\/\//.test(value) || !URL.canParse(value)) return undefined;
  const { protocol, hostname, port, username, password, pathname, search, hash } = new URL(value);
  const database = /^\/?([\w-]*)$/.exec(pathname)?.[1];
  if (hostname === "" || database === undefined || search !== "" || hash !== "") return undefined;
  const tls = protocol === "clickhouses:";
  try {
    return {
      url: `${tls ? "https" : "http"}://${hostname}:${port || (tls ? 8443 : 8123)}`,
      user: decodeURIComponent(username) || "default",
      password: decodeURIComponent(password),
      database: database || "default",
    };
  } catch {
    return undefined;
  }
}

function redisUrl(env: Environment): string | undefined {
  const value = text(env, "REDIS_URL");
  if (value === undefined) return undefined;
  // The value may contain a password, so it is never repeated.
  if (!/^rediss?:\/\//.test(value) || !URL.canParse(value)) {
    throw new ConfigError("REDIS_URL must look like redis://user:password@host:6379/0, or rediss://… for TLS.");
  }
  return value;
}

function metrics(env: Environment): Config["metrics"] {
  const port = integer(env, "SAZABI_METRICS_PORT", { minimum: 0, maximum: 65_535, unit: "a port number" });
  const host = text(env, "SAZABI_METRICS_HOST");
  if (port !== undefined) return { host: host ?? "127.0.0.1", port };
  if (host === undefined) return undefined;
  throw new ConfigError("SAZABI_METRICS_HOST needs SAZABI_METRICS_PORT: without a port no metrics are served.");
}

const loopback = ["127.0.0.0/8", "::1"];

function proxies(env: Environment, name: string): AddressList | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const ranges = value.split(",").flatMap((part) => {
    if (part.trim() === "loopback") return loopback;
    const range = parseAddressRange(part);
    if (!range) {
      throw new ConfigError(
        `${name} must be addresses or networks separated by commas, such as 10.0.0.0/8,2001:db8::1, or the word ` +
          `loopback; "${part.trim()}" is none.`,
      );
    }
    return range;
  });
  return addressList(ranges);
}

function keyring(env: Environment, name: string): Keyring | undefined {
  const value = text(env, name);
  if (value === undefined) return undefined;
  const parsed = parseKeyring(value);
  if (!parsed) {
    throw new ConfigError(
      `${name} must be one or more version:secret pairs, newest first, separated by commas, ` +
        "each secret 32 bytes in base64: 2:q83v…=,1:EjRW…=",
    );
  }
  return parsed;
}

/**
 * Returns the data folder of the platform. For root, it is the folder of system services, since the
 * PostgreSQL user cannot enter the home folder of root.
 */
function defaultDataDir(env: Environment): string {
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "sazabi");
  if (process.platform === "win32") return join(text(env, "LOCALAPPDATA") ?? homedir(), "sazabi");
  if (process.getuid?.() === 0) return "/var/lib/sazabi";
  return join(text(env, "XDG_DATA_HOME") ?? join(homedir(), ".local", "share"), "sazabi");
}
