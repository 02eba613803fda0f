import { expect, test } from "vitest";
import { readEvents } from "../../src/events.ts";

async function eventsOf(text: string, size: number) {
  const bytes = new TextEncoder().encode(text);
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
  }
  const events = [];
  for await (const event of readEvents(chunks())) events.push(event);
  return events;
}

const stream = [
  ": a comment\n\n",
  'event: log\nid: 7\ndata: {"a":\n',
  'data: "é😀"}\n\n',
  "data: plain\n\n",
  ": ping\n\nevent: position\nid: 9\ndata: {}\n\n",
  "event: unfinished\ndata: x\n",
].join("");

test.each([1, 2, 3, 7, 1000])(
  "events are read whole, in chunks of %d bytes, whatever ends their lines",
  async (size) => {
    const expected = [
      { event: "log", id: "7", data: '{"a":\n"é😀"}' },
      { event: "message", id: "", data: "plain" },
      { event: "position", id: "9", data: "{}" },
    ];
    expect(await eventsOf(stream, size)).toEqual(expected);
    expect(await eventsOf(stream.replaceAll("\n", "\r\n"), size)).toEqual(expected);
    expect(await eventsOf(stream.replaceAll("\n", "\r"), size)).toEqual(expected);
  },
);
