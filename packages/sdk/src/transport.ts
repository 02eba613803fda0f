import { defaultBaseUrl, readBaseUrl } from "./base-url.ts";
import { SazabiApiError, SazabiConnectionError, type SazabiErrorCode, SazabiTimeoutError } from "./errors.ts";
import { type ErrorCode, type ErrorDetail, errorStatus } from "./protocol/errors.ts";

/** The part of `fetch` that is used; the platform's own and undici's both fit. */
export type FetchLike = (url: string, init: FetchInit) => Promise<FetchAnswer>;

export interface FetchInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  readonly signal: AbortSignal;
  readonly redirect: "manual";
}

export interface FetchAnswer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
  /** The body while it arrives, for answers that go on. A `fetch` without it cannot follow logs. */
  readonly body?: AsyncIterable<Uint8Array> | ChunkSource | null;
}

/** The part of a web stream that is used. */
interface ChunkSource {
  getReader(): { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }> };
}

/** What both clients can be told about the network. */
export interface ConnectionOptions {
  /** Default `http://127.0.0.1:4600`. */
  readonly baseUrl?: string | undefined;
  /** For one whole answer. Default 30,000. */
  readonly timeoutMs?: number | undefined;
  /** How long in all a request may wait for a busy service (`Retry-After`) before it gives up. Default 10,000; 0: never. */
  readonly retryBudgetMs?: number | undefined;
  /** Told before each such wait. */
  readonly onWait?: ((wait: Wait) => void) | undefined;
  /** Default: the platform's `fetch`. */
  readonly fetch?: FetchLike | undefined;
}

/** The service is busy and named the time to come back. */
export interface Wait {
  readonly status: number;
  readonly seconds: number;
}

/** What one call can be told. */
export interface RequestOptions {
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number | undefined;
}

/** What a call that makes something can be told. */
export interface CreateOptions extends RequestOptions {
  /** The same key, sent again, gets the same answer instead of a second thing. Makes the call safe to retry. */
  readonly idempotencyKey?: string | undefined;
}

export interface Request extends CreateOptions {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** Below `/v1`; made with the `path` tag. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
  /** A body that is already encoded; instead of `body`. */
  readonly raw?: { readonly content: string | Uint8Array<ArrayBuffer>; readonly headers: Record<string, string> };
  /** Reading only, so that it may be asked again. GETs are. */
  readonly safe?: boolean;
}

const defaultTimeoutMs = 30_000;
const defaultRetryBudgetMs = 10_000;
const shortestWaitMs = 100;

/** Makes requests of one service with one credential. */
export class Transport {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #options: ConnectionOptions;
  readonly #fetch: FetchLike;

  constructor(options: ConnectionOptions, headers: Readonly<Record<string, string>>) {
    this.#base = readBaseUrl(options.baseUrl ?? defaultBaseUrl);
    this.#headers = headers;
    this.#options = options;
    this.#fetch = options.fetch ?? ((url, init) => fetch(url, init));
  }

  /** The answer's JSON; undefined when it has no body. */
  async send(request: Request): Promise<unknown> {
    const retryable = request.safe || request.method === "GET" || request.idempotencyKey !== undefined;
    let budgetMs = retryable ? (this.#options.retryBudgetMs ?? defaultRetryBudgetMs) : 0;
    for (;;) {
      try {
        return await this.#sendOnce(request);
      } catch (error) {
        const seconds = busySeconds(error);
        if (seconds === undefined) throw error;
        // A service that says "0 seconds" again and again must come to the end of the budget, too.
        const waitMs = Math.max(seconds * 1000, shortestWaitMs);
        if (waitMs > budgetMs) throw error;
        budgetMs -= waitMs;
        this.#options.onWait?.({ status: (error as SazabiApiError).status, seconds });
        await sleep(waitMs, request.signal);
      }
    }
  }

  /**
   * An answer of events that goes on, part by part as it arrives; it ends with the connection, or when the caller stops
   * reading. Throws when it does not begin within the time for a request, and when it is silent for `silenceMs`.
   */
  async *stream(request: Request, silenceMs: number): AsyncGenerator<Uint8Array> {
    const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs ?? defaultTimeoutMs;
    const deadline = startDeadline(timeoutMs, request.signal);
    try {
      const answer = await this.#fetch(this.#url(request), {
        method: request.method,
        headers: { ...this.#headersOf(request), accept: "text/event-stream" },
        signal: deadline.signal,
        redirect: "manual",
      });
      if (answer.status !== 200 || !answer.headers.get("content-type")?.startsWith("text/event-stream")) {
        readAnswer(answer, await answer.text(), this.#base);
        throw unexpected(answer, `${this.#base} answered with something else than events. Is the base URL right?`);
      }
      deadline.restart(silenceMs);
      for await (const chunk of chunksOf(answer)) {
        deadline.pause();
        yield chunk;
        deadline.restart(silenceMs);
      }
    } catch (error) {
      throw this.#explain(error, request, deadline.passedMs());
    } finally {
      // Also when the caller stops reading: the connection is closed.
      deadline.end();
    }
  }

  async #sendOnce(request: Request): Promise<unknown> {
    const timeoutMs = request.timeoutMs ?? this.#options.timeoutMs ?? defaultTimeoutMs;
    const deadline = startDeadline(timeoutMs, request.signal);
    try {
      const answer = await this.#fetch(this.#url(request), {
        method: request.method,
        headers: this.#headersOf(request),
        ...bodyOf(request),
        signal: deadline.signal,
        // A redirect would carry the key to an address nobody named.
        redirect: "manual",
      });
      return readAnswer(answer, await answer.text(), this.#base);
    } catch (error) {
      throw this.#explain(error, request, deadline.passedMs());
    } finally {
      deadline.stop();
    }
  }

  #explain(error: unknown, { signal }: Request, passedMs: number | undefined): unknown {
    if (error instanceof SazabiApiError) return error;
    if (signal?.aborted) return signal.reason;
    const address = this.#base;
    if (passedMs !== undefined) return new SazabiTimeoutError({ address, timeoutMs: passedMs, cause: error });
    return new SazabiConnectionError(`Could not reach ${address}.`, { address, cause: error });
  }

  #url({ path: below, query }: Request): string {
    const parameters = new URLSearchParams();
    for (const [name, value] of Object.entries(query ?? {})) if (value !== undefined) parameters.set(name, `${value}`);
    const search = parameters.toString();
    return `${this.#base}/v1${below}${search && `?${search}`}`;
  }

  #headersOf(request: Request): Record<string, string> {
    return {
      accept: "application/json",
      ...this.#headers,
      ...(request.body === undefined ? {} : { "content-type": "application/json" }),
      ...request.raw?.headers,
      ...(request.idempotencyKey === undefined ? {} : { "idempotency-key": request.idempotencyKey }),
    };
  }
}

/**
 * A path with its values percent-encoded: path`/secret-keys/${id}`. Refuses a value that would leave its place in
 * the path: an empty one, `.` and `..`.
 */
export function path(literals: TemplateStringsArray, ...values: readonly string[]): string {
  return literals.reduce((text, literal, i) => text + segment(values[i - 1] as string) + literal);
}

const loneSurrogate = /\p{Surrogate}/u;

function segment(value: string): string {
  if (typeof value !== "string" || ["", ".", ".."].includes(value) || loneSurrogate.test(value)) {
    throw new TypeError(`${JSON.stringify(value)} cannot be an id.`);
  }
  return encodeURIComponent(value);
}

function bodyOf({ body, raw }: Request): Pick<FetchInit, "body"> {
  if (raw) return { body: raw.content };
  return body === undefined ? {} : { body: JSON.stringify(body) };
}

function readAnswer(answer: FetchAnswer, text: string, base: string): unknown {
  // A browser shows a redirect that it was told not to follow as status 0.
  if (answer.status < 200 || (answer.status >= 300 && answer.status < 400)) {
    throw unexpected(answer, `${base} answered with a redirect; redirects are not followed. Is the base URL right?`);
  }
  const json = parseJson(text);
  if (answer.status >= 400) throw readError(answer, json, base);
  if (json === undefined && text !== "") {
    throw unexpected(answer, `${base} answered with something that is not JSON. Is the base URL right?`);
  }
  return json;
}

function readError(answer: FetchAnswer, json: unknown, base: string): SazabiApiError {
  const body = (typeof json === "object" && json !== null ? json : {}) as Partial<ErrorDetail>;
  const { status } = answer;
  const retryAfterSeconds =
    body.retryAfterSeconds ?? readRetryAfter(answer.headers.get("retry-after")) ?? readReset(answer);
  const requestId = body.requestId ?? answer.headers.get("x-request-id") ?? undefined;
  const detail = {
    ...body,
    status,
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    ...(requestId === undefined ? {} : { requestId }),
  };
  if (typeof body.code === "string" && typeof body.message === "string") {
    return new SazabiApiError(body.message, { ...detail, code: body.code });
  }
  return new SazabiApiError(`${base} answered with status ${status} and no explanation.`, {
    ...detail,
    code: codeOfStatus(status),
  });
}

function codeOfStatus(status: number): SazabiErrorCode {
  for (const code of Object.keys(errorStatus) as ErrorCode[]) if (errorStatus[code] === status) return code;
  return "UNEXPECTED_ANSWER";
}

function unexpected(answer: FetchAnswer, message: string): SazabiApiError {
  return new SazabiApiError(message, { code: "UNEXPECTED_ANSWER", status: answer.status });
}

/** Member `name` of an answer. Its type is the protocol's promise; that it is there at all is checked. */
export function member<T>(answer: unknown, name: string): T {
  if (typeof answer === "object" && answer !== null && name in answer) return (answer as Record<string, T>)[name] as T;
  throw new SazabiApiError(`The answer has no \`${name}\`. Is the base URL that of a Sazabi API?`, {
    code: "UNEXPECTED_ANSWER",
    status: 200,
  });
}

/** Seconds to wait, when `error` says that the service is busy and for how long. */
function busySeconds(error: unknown): number | undefined {
  const busy = error instanceof SazabiApiError && (error.status === 429 || error.status === 503);
  return busy ? error.retryAfterSeconds : undefined;
}

/** `Retry-After` is seconds or a date (RFC 9110). */
function readRetryAfter(value: string | null): number | undefined {
  if (value === null) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value);
  const seconds = Math.ceil((Date.parse(value) - Date.now()) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}

/** Of a 429 that names no time to wait: when its window ends. By the clock of who answers, as far as it says. */
function readReset({ status, headers }: FetchAnswer): number | undefined {
  const reset = status === 429 ? headers.get("x-ratelimit-reset") : null;
  if (reset === null || !/^\d{9,11}$/.test(reset)) return undefined;
  const there = Date.parse(headers.get("date") ?? "");
  const now = Number.isNaN(there) ? Date.now() : there;
  return Math.max(0, Math.ceil(Number(reset) - now / 1000));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function* chunksOf({ body }: FetchAnswer): AsyncGenerator<Uint8Array> {
  if (!body) throw new TypeError("This `fetch` does not show the body while it arrives.");
  if (!("getReader" in body)) {
    yield* body;
    return;
  }
  // Not every browser can iterate over a stream.
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (value) yield value;
  }
}

/** A signal that fires after `timeoutMs` or with the caller's, whichever comes first. */
function startDeadline(timeoutMs: number, signal: AbortSignal | undefined) {
  const controller = new AbortController();
  let passedMs: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const pause = () => clearTimeout(timer);
  const restart = (ms: number) => {
    pause();
    timer = setTimeout(() => {
      passedMs = ms;
      controller.abort();
    }, ms);
  };
  const follow = () => controller.abort(signal?.reason);
  const stop = () => {
    pause();
    signal?.removeEventListener("abort", follow);
  };
  if (signal?.aborted) follow();
  signal?.addEventListener("abort", follow, { once: true });
  restart(timeoutMs);
  return {
    signal: controller.signal,
    /** The time that ran out, if it did. */
    passedMs: () => passedMs,
    pause,
    restart,
    stop,
    /** As `stop`, and whatever is under way is given up. */
    end: () => {
      stop();
      controller.abort();
    },
  };
}

export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
