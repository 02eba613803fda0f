import { SazabiApiError, SazabiConnectionError, SazabiTimeoutError } from "@sazabi/sdk";
import { type GivenField, hasFields, readFields, readInput } from "../api/fields.ts";
import { addressOf, readHeaders, readMethod } from "../api/request.ts";
import { usageError } from "../errors.ts";
import type { AnswerHeaders } from "../network-headers.ts";
import { visibleText } from "../output/visible.ts";
import type { Session } from "../session.ts";

export interface ApiOptions {
  /** In command-line order. */
  readonly fields: readonly GivenField[];
  readonly input?: string;
  readonly header?: readonly string[];
  readonly include?: boolean;
  readonly paginate?: boolean;
}

/** One request, or one per page with `--paginate`. */
interface Asking {
  readonly method: string;
  readonly address: URL;
  readonly headers: Record<string, string>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

interface RawAnswer {
  readonly status: number;
  readonly headers: AnswerHeaders;
  readonly body: string;
}

const defaultTimeoutMs = 30_000;

/** Sends one request with the current key and prints the response. The HTTP status decides the exit code. */
export async function request(session: Session, method: string, path: string, options: ApiOptions): Promise<void> {
  const asking = await read(session, method, path, options);
  const credential = await session.requireCredential();
  session.credential = credential;
  const headers = { ...asking.headers, authorization: `Bearer ${credential.value}` };
  let failed: RawAnswer | undefined;
  await session.paged(async () => {
    failed = await printAnswers(session, { ...asking, headers }, options);
  });
  if (failed) throw refusalOf(failed, session.apiUrl.value);
}

async function read(session: Session, methodText: string, path: string, options: ApiOptions): Promise<Asking> {
  const method = readMethod(methodText);
  if (options.paginate && method !== "GET") throw usageError("--paginate is of GET: other requests are sent once.");
  const headers = readHeaders(options.header ?? []);
  const fields = await readFields(session, options.fields);
  if (options.input !== undefined) {
    if (method === "GET" || method === "HEAD") throw usageError(`${method} has no body for --input.`);
    const body = await readInput(session, options.input);
    return { method, address: addressOf(session.apiUrl.value, path, fields), headers, body };
  }
  if (method === "GET" || method === "HEAD" || !hasFields(fields)) {
    return { method, address: addressOf(session.apiUrl.value, path, fields), headers: withoutType(headers) };
  }
  return { method, address: addressOf(session.apiUrl.value, path, {}), headers, body: JSON.stringify(fields) };
}

/** Omits the content type of a request without a body, unless it was set explicitly. */
function withoutType({ "content-type": type, ...headers }: Record<string, string>): Record<string, string> {
  return type === undefined || type === "application/json" ? headers : { ...headers, "content-type": type };
}

/** Prints the responses. Returns the response that is an error, if any. */
async function printAnswers(session: Session, asking: Asking, options: ApiOptions): Promise<RawAnswer | undefined> {
  const { address } = asking;
  for (;;) {
    const answer = await send(session, asking);
    print(session, answer, options);
    await session.drained();
    if (answer.status < 200 || answer.status >= 300) return answer;
    const cursor = options.paginate ? nextCursorOf(answer.body) : undefined;
    if (cursor === undefined) return undefined;
    if (cursor === address.searchParams.get("cursor")) {
      throw new SazabiApiError("The service answered with the same cursor twice.", {
        code: "UNEXPECTED_ANSWER",
        status: answer.status,
      });
    }
    address.searchParams.set("cursor", cursor);
  }
}

async function send(session: Session, { method, address, headers, body }: Asking): Promise<RawAnswer> {
  const fetch = await session.openFetch();
  const timeoutMs = session.flags.timeout === undefined ? defaultTimeoutMs : session.flags.timeout * 1000;
  const deadline = AbortSignal.timeout(timeoutMs);
  const signal = AbortSignal.any([session.context.signal, deadline]);
  const base = session.apiUrl.value;
  try {
    const init = { method, headers, signal, redirect: "manual", ...(body === undefined ? {} : { body }) } as const;
    const answer = await fetch(address.href, init);
    return { status: answer.status, headers: answer.headers, body: await answer.text() };
  } catch (cause) {
    if (session.context.signal.aborted) throw session.context.signal.reason;
    if (deadline.aborted) throw new SazabiTimeoutError({ address: base, timeoutMs, cause });
    throw new SazabiConnectionError(`Could not reach ${base}.`, { address: base, cause });
  }
}

/** Writes the body byte for byte to a file or pipe. On a terminal, control sequences are escaped. */
function print(session: Session, { status, headers, body }: RawAnswer, { include, paginate }: ApiOptions): void {
  const { isTTY } = session.context.stdout;
  const lines = include ? [`HTTP/1.1 ${status}`, ...[...headers.list()].map((pair) => pair.join(": ")), "", ""] : [];
  const ends = body === "" || body.endsWith("\n") || !(isTTY || paginate);
  const text = lines.join("\n") + body + (ends ? "" : "\n");
  session.write(isTTY ? visibleText(text) : text);
}

function nextCursorOf(body: string): string | undefined {
  const cursor = (parse(body) as { readonly nextCursor?: unknown } | undefined)?.nextCursor;
  return typeof cursor === "string" ? cursor : undefined;
}

/** Converts the response to the SDK's error, which gives it the same message and exit code. */
function refusalOf({ status, headers, body }: RawAnswer, base: string): SazabiApiError {
  const detail = (parse(body) ?? {}) as Partial<SazabiApiError>;
  const retryAfter = Number(headers.get("retry-after") ?? Number.NaN);
  const said = typeof detail.message === "string" ? detail.message : `${base} answered with status ${status}.`;
  return new SazabiApiError(
    status < 400 ? `${base} answered with status ${status}, and redirects are not followed.` : said,
    {
      status,
      code: typeof detail.code === "string" ? detail.code : "UNEXPECTED_ANSWER",
      ...(typeof detail.reason === "string" ? { reason: detail.reason } : {}),
      ...(typeof detail.requestId === "string" ? { requestId: detail.requestId } : {}),
      ...(Number.isFinite(retryAfter) ? { retryAfterSeconds: retryAfter } : {}),
    },
  );
}

function parse(text: string): unknown {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
