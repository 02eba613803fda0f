import { expect, test } from "vitest";
import { jsonArray, jsonObject, jsonOf, jsonWithin } from "../../src/http/json-text.ts";

const textOf = (json: { pieces(): readonly Buffer[] }) => Buffer.concat([...json.pieces()]).toString("utf8");

const texts = {
  short: "a message",
  plain: "x".repeat(300_000),
  "control characters": "\u0001".repeat(100_000),
  "quotes and backslashes": '"\\\n'.repeat(50_000),
  "characters of three bytes": "中".repeat(100_000),
  "pairs of surrogates, at every place": `x${"😀".repeat(60_000)}`,
  "pairs of surrogates, at every other place": "😀".repeat(60_000),
  "halves of surrogates": "\ud83d".repeat(40_000),
  empty: "",
};

test.each(Object.entries(texts))("a text becomes what JSON.stringify makes of it: %s", async (_, text) => {
  const json = await jsonOf(text);
  expect(textOf(json)).toBe(JSON.stringify(text));
  expect(json.bytes).toBe(Buffer.byteLength(JSON.stringify(text)));
});

test.each(Object.entries(texts))("so does an entry: %s", async (_, text) => {
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`key ${at}`, text.slice(0, 500)]));
  const entry = { id: "7", message: text, body: text, nothing: null, attributes: { ...many, text, n: 1 }, list: [1] };
  expect(textOf(await jsonOf(entry))).toBe(JSON.stringify(entry));
});

test("a member keeps its name, whatever it is", async () => {
  const entry = JSON.parse(`{"__proto__":${JSON.stringify("x".repeat(20_000))},"constructor":"c"}`);
  expect(textOf(await jsonOf(entry))).toBe(JSON.stringify(entry));
});

test("an answer is put together from what is JSON already", async () => {
  const entries = await jsonWithin([{ a: texts.plain }, { a: "b" }, { c: texts["control characters"] }], 10_000_000);
  const json = jsonObject({ data: jsonArray(entries), nextCursor: null, left: undefined, meta: { count: 3 } });
  expect(JSON.parse(textOf(json))).toEqual({
    data: [{ a: texts.plain }, { a: "b" }, { c: texts["control characters"] }],
    nextCursor: null,
    meta: { count: 3 },
  });
  expect(textOf(jsonObject({}))).toBe("{}");
  expect(textOf(jsonArray([]))).toBe("[]");
});

test("values are taken as far as they fit, and the first in any case", async () => {
  const values = Array.from({ length: 10 }, () => ({ text: "x".repeat(1_000) }));
  expect(await jsonWithin(values, 5_100)).toHaveLength(5);
  expect(await jsonWithin(values, 10)).toHaveLength(1);
  expect(await jsonWithin([], 10)).toHaveLength(0);
  expect(await jsonWithin(values, 1_000_000)).toHaveLength(10);
});

test("other work goes on while a large answer is made", async () => {
  let rounds = 0;
  const timer = setInterval(() => {
    rounds += 1;
  }, 0);
  await jsonWithin(
    Array.from({ length: 20 }, () => ({ message: texts["control characters"] })),
    100_000_000,
  );
  clearInterval(timer);
  expect(rounds).toBeGreaterThan(1);
});
