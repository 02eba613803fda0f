interface ServerEvent {
  readonly event: string;
  readonly data: string;
  /** Empty when it has none. */
  readonly id: string;
}

/** Of one event, in characters: what comes without end must not fill the memory. */
const maxEventLength = 64 * 1024 * 1024;

/** Server-Sent Events (WHATWG HTML, section 9.2.6), as they arrive. Comments are passed over. */
export async function* readEvents(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<ServerEvent> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of chunks) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > maxEventLength) throw new Error("The service sent an event that does not end.");
    // A CR at the very end may be the first half of a line's end.
    const end = rest.endsWith("\r") ? rest.length - 1 : rest.length;
    const blocks = rest.slice(0, end).replace(/\r\n?/g, "\n").split("\n\n");
    rest = blocks.pop() + rest.slice(end);
    for (const block of blocks) {
      const event = readEvent(block);
      if (event) yield event;
    }
  }
}

/** Undefined for a comment. */
function readEvent(block: string): ServerEvent | undefined {
  const fields = { event: "message", id: "" };
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, name, value = ""] = /^([^:]*):? ?(.*)$/s.exec(line) as unknown as [string, string, string];
    if (name === "data") data.push(value);
    else if (name === "event" || name === "id") fields[name] = value;
  }
  return data.length > 0 ? { ...fields, data: data.join("\n") } : undefined;
}
