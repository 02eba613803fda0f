import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("service-process.ts", import.meta.url));
const skewedClock = fileURLToPath(new URL("skewed-clock.ts", import.meta.url));
const tsx = createRequire(import.meta.url).resolve("tsx");

/** What all replicas of one service share. */
export interface ServerSecrets {
  readonly pepper: string;
  readonly masterKey: string;
}

export interface ReplicaOptions {
  readonly databaseUrl: string;
  readonly secrets: ServerSecrets;
  /** How its connections are called in `pg_stat_activity`. */
  readonly name?: string;
  /** Further variables. */
  readonly env?: Readonly<Record<string, string>>;
  /** How far its wall clock is off. */
  readonly skewMs?: number;
}

/** The service in a process of its own, listening on a free loopback port. */
export interface Replica {
  readonly name: string;
  readonly url: string;
  readonly process: ChildProcess;
  /** All that it wrote so far. */
  output(): { readonly stdout: string; readonly stderr: string };
  /** As an operator stops it. */
  stop(): Promise<void>;
  /** As a machine that loses power does: nothing is finished, nothing is said. */
  kill(): Promise<void>;
}

export function newServerSecrets(): ServerSecrets {
  const keyring = () => `1:${randomBytes(32).toString("base64")}`;
  return { pepper: keyring(), masterKey: keyring() };
}

export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const { databaseUrl, secrets, name = "replica", env, skewMs } = options;
  const preloads = [tsx, ...(skewMs === undefined ? [] : [skewedClock])].flatMap((file) => ["--import", file]);
  const url = new URL(databaseUrl);
  url.searchParams.set("application_name", name);
  const child = spawn(process.execPath, [...preloads, "--conditions=sazabi-source", program], {
    env: {
      ...withoutOurs(process.env),
      DATABASE_URL: url.href,
      HOST: "127.0.0.1",
      PORT: "0",
      SAZABI_DATA_DIR: tmpdir(),
      SAZABI_KEY_PEPPER: secrets.pepper,
      SAZABI_MASTER_KEY: secrets.masterKey,
      SKEW_MS: String(skewMs ?? 0),
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      output[stream] += text;
    });
  }
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill(signal);
    await ended;
  };
  return {
    name,
    url: await listening(child, output),
    process: child,
    output: () => output,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
  };
}

/** Each waits for the one before: the first makes the first keys, and the machine has other work too. */
export async function startReplicas(count: number, options: ReplicaOptions): Promise<Replica[]> {
  const replicas: Replica[] = [];
  for (let index = 0; index < count; index++) {
    replicas.push(await startReplica({ ...options, name: `replica-${index}` }));
  }
  return replicas;
}

/** The secret key that the first start printed. */
export function firstSecretKey(replica: Replica): string {
  return firstKeys(replica).secretKey;
}

/** The keys that the first start printed. */
export function firstKeys(replica: Replica): { readonly secretKey: string; readonly publicKey: string } {
  const { stdout } = replica.output();
  const key = (kind: string) => new RegExp(`${kind} key {2}(\\S+)`).exec(stdout)?.[1] as string;
  return { secretKey: key("secret"), publicKey: key("public") };
}

function withoutOurs(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith("SAZABI_")));
}

async function listening(child: ChildProcess, output: { stderr: string }): Promise<string> {
  for (;;) {
    const url = /listening on (http:\/\/\S+)/.exec(output.stderr)?.[1];
    if (url) return url;
    if (child.exitCode !== null) throw new Error(`The service did not start:\n${output.stderr}`);
    await Promise.race([once(child.stderr as NodeJS.ReadableStream, "data"), once(child, "exit")]);
  }
}
