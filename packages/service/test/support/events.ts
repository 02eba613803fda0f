import { bearer } from "./index.ts";

interface SentEvent {
  readonly event: string;
  readonly id: string;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into any data.
  readonly data: any;
}

/** A tail as a stranger would read it: everything that comes, as it comes. */
export interface OpenTail {
  readonly status: number;
  readonly headers: Headers;
  readonly events: readonly SentEvent[];
  /** What came, byte for byte. */
  text(): string;
  /** Messages of the entries that came. */
  messages(): readonly string[];
  /** Resolves when the stream is over: `ended` by the service, or `cut`. */
  readonly over: Promise<"ended" | "cut">;
  /** Resolves when so many entries have come; rejects when the stream ends before. */
  entries(count: number): Promise<void>;
  close(): void;
}

export async function openTail(
  service: { readonly url: string },
  key: string,
  parameters: Record<string, string> = {},
): Promise<OpenTail> {
  const leaving = new AbortController();
  const response = await fetch(new URL(`/v1/tail?${new URLSearchParams(parameters)}`, service.url), {
    headers: { accept: "text/event-stream", ...bearer(key) },
    signal: leaving.signal,
  });
  let text = "";
  const events: SentEvent[] = [];
  let over = false;
  let wake = () => {};
  const messages = () =>
    events.flatMap(({ event, data }) => (event === "log" ? data.data.map(({ body }: { body: string }) => body) : []));
  const read = async () => {
    const decoder = new TextDecoder();
    let seen = 0;
    for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
      text += decoder.decode(chunk, { stream: true });
      const blocks = text.split("\n\n");
      for (const block of blocks.slice(seen, -1)) {
        const event = readEvent(block);
        if (event) events.push(event);
      }
      seen = blocks.length - 1;
      wake();
    }
  };
  const ending = (response.status === 200 ? read() : Promise.resolve())
    .then(
      () => "ended" as const,
      () => "cut" as const,
    )
    .finally(() => {
      over = true;
      wake();
    });
  return {
    status: response.status,
    headers: response.headers,
    events,
    text: () => text,
    messages,
    over: ending,
    async entries(count) {
      while (messages().length < count) {
        if (over) throw new Error(`The tail ended after ${messages().length} of ${count} entries.`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    close: () => leaving.abort(),
  };
}

function readEvent(block: string): SentEvent | undefined {
  const fields = Object.fromEntries(
    block
      .split("\n")
      .filter((line) => !line.startsWith(":"))
      .map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
  );
  return fields["data"] === undefined
    ? undefined
    : { event: fields["event"] ?? "", id: fields["id"] ?? "", data: JSON.parse(fields["data"]) };
}
