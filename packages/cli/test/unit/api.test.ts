import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { addressOf } from "../../src/api/request.ts";
import { refusal, someKey, startService } from "../support/service.ts";
import { scratchDirectory, terminal } from "../support/terminal.ts";

const echo = { "GET /v1/echo": () => ({ body: '{"b":1,\n "a":"\u202e"}' }), "POST /v1/echo": () => ({ body: "{}" }) };

describe("api", () => {
  test("sends the key, and prints the body as it is", async () => {
    const { env, asked, secretKey } = await startService(echo);
    const { run } = terminal({ env });
    for (const path of ["/v1/echo", "v1/echo"]) {
      expect(await run(["api", "get", path])).toEqual({ code: 0, out: '{"b":1,\n "a":"\u202e"}', err: "" });
    }
    expect(asked[0]?.headers).toMatchObject({ authorization: `Bearer ${secretKey}`, accept: "application/json" });
    expect(asked[0]?.headers["content-type"]).toBeUndefined();
    expect((await run(["api", "GET", "/v1/echo"], { columns: 80 })).out).toBe('{"b":1,\n "a":"\\u202e"}\n');
  });

  test("-f and -F are the query of a GET and the JSON of a POST", async () => {
    const { env, asked } = await startService(echo);
    const { run } = terminal({ env });
    const file = join(scratchDirectory(), "text");
    writeFileSync(file, "from a file\n");
    const fields = ["-f", "a=1", "-F", "b=1", "-F", "c=true", "-F", "d=null", "-F", `e=@${file}`, "-f", "f=x=y"];
    await run(["api", "GET", "/v1/echo", ...fields]);
    await run(["api", "POST", "/v1/echo", ...fields, "-F", "g[h][]=1", "-f", "g[h][]=2", "-F", "g[i]=-2.5"]);
    await run(["api", "POST", "/v1/echo", "-F", "a=@-"], { stdin: "from stdin" });
    const text = "from a file\n";
    expect(asked[0]?.query).toEqual({ a: "1", b: "1", c: "true", d: "null", e: text, f: "x=y" });
    expect(asked[1]?.json).toEqual({ a: "1", b: 1, c: true, d: null, e: text, f: "x=y", g: { h: [1, "2"], i: -2.5 } });
    expect(asked[1]?.headers["content-type"]).toBe("application/json");
    expect(asked[2]?.json).toEqual({ a: "from stdin" });
  });

  test("a field called __proto__ is one like any other", async () => {
    const { env, asked } = await startService(echo);
    await terminal({ env }).run(["api", "POST", "/v1/echo", "-f", "__proto__[x]=1", "-f", "constructor[y]=1"]);
    expect(asked[0]?.text).toBe('{"__proto__":{"x":"1"},"constructor":{"y":"1"}}');
    expect(({} as { x?: unknown }).x).toBeUndefined();
  });

  test("--input sends a file or stdin, byte for byte, and fields go to the query", async () => {
    const { env, asked } = await startService(echo);
    const { run } = terminal({ env });
    const file = join(scratchDirectory(), "body.json");
    writeFileSync(file, '{ "x":  1 }');
    await run(["api", "POST", "/v1/echo", "--input", file, "-f", "a=b"]);
    await run(["api", "POST", "/v1/echo", "--input", "-", "-H", "Content-Type: text/plain"], { stdin: "as it is\r\n" });
    expect(asked.map(({ text }) => text)).toEqual(['{ "x":  1 }', "as it is\r\n"]);
    expect(asked[0]?.query).toEqual({ a: "b" });
    expect(asked.map(({ headers }) => headers["content-type"])).toEqual(["application/json", "text/plain"]);
  });

  test("-H sends a header, -i prints those of the answer", async () => {
    const { env, asked } = await startService({
      "GET /v1/echo": () => ({ headers: { "x-one": "1", "set-cookie": "a" }, body: "{}" }),
    });
    const { out } = await terminal({ env }).run(["api", "GET", "/v1/echo", "-i", "-H", "X-Mine: yes"]);
    expect(asked[0]?.headers["x-mine"]).toBe("yes");
    expect(out).toMatch(/^HTTP\/1\.1 200\n(?:[\w-]+: .*\n)+\n\{\}$/);
    expect(out).toContain("\nx-one: 1\n");
  });

  test("--paginate goes on as far as nextCursor leads", async () => {
    const { env, asked } = await startService({
      "GET /v1/things": ({ query }) => {
        const next = { undefined: "a", a: "b", b: null }[String(query.cursor)];
        return { body: { things: [query.cursor ?? "first"], nextCursor: next } };
      },
    });
    const { code, out } = await terminal({ env }).run(["api", "GET", "/v1/things?limit=1", "--paginate"]);
    expect(code).toBe(0);
    const pages = out.trimEnd().split("\n");
    expect(pages.map((page) => JSON.parse(page).things)).toEqual([["first"], ["a"], ["b"]]);
    expect(asked.map(({ query }) => query)).toEqual([
      { limit: "1" },
      { limit: "1", cursor: "a" },
      { limit: "1", cursor: "b" },
    ]);
  });

  test("--paginate stops when the cursor stands still", async () => {
    const { env } = await startService({ "GET /v1/things": () => ({ body: { nextCursor: "same" } }) });
    const { code, err } = await terminal({ env }).run(["api", "GET", "/v1/things", "--paginate"]);
    expect(code).toBe(1);
    expect(err).toContain("same cursor twice");
  });

  test.each([
    [400, "VALIDATION_ERROR", 1],
    [403, "FORBIDDEN", 4],
    [404, "NOT_FOUND", 3],
    [429, "RATE_LIMIT_EXCEEDED", 6],
    [500, "INTERNAL_ERROR", 1],
  ])("a %i %s prints the body and exits %i", async (status, errorCode, exit) => {
    const { env, asked } = await startService({
      "POST /v1/echo": () => ({ ...refusal(status, errorCode, "Because."), headers: { "retry-after": "7" } }),
    });
    const { code, out, err } = await terminal({ env }).run(["api", "POST", "/v1/echo"]);
    expect(code).toBe(exit);
    expect(JSON.parse(out)).toMatchObject({ code: errorCode });
    expect(err).toMatch(/^error: (http:\S+ says: )?Because\./);
    expect(asked).toHaveLength(1);
  });

  test("a redirect is not followed", async () => {
    const other = await startService();
    const { env } = await startService({
      "GET /v1/echo": () => ({ status: 302, headers: { location: `${other.url}/v1/me` }, body: "" }),
    });
    const { code, err } = await terminal({ env }).run(["api", "GET", "/v1/echo"]);
    expect(code).toBe(1);
    expect(err).toContain("redirects are not followed");
    expect(other.asked).toEqual([]);
  });

  test.each([
    [["GET", "https://evil.example/v1/me"], "is an address"],
    [["GET", "//evil.example/v1/me"], "is an address"],
    [["GET", "\\\\evil.example"], "is an address"],
    [["GET", "javascript:x"], "is an address"],
    [["GET", "/v1/me\r\nHost: evil"], "is not a path"],
    [["GET", `/v1/me?key=${someKey("secret")}`], "A key must not be part of a URL"],
    [["FETCH", "/v1/me"], "is not a supported method"],
    [["POST", "/v1/me", "-f", "a"], "is not a field"],
    [["POST", "/v1/me", "-f", "a=1", "-f", "a[b]=2"], "conflicts with an earlier field"],
    [["POST", "/v1/me", "-f", "a[]=1", "-f", "a[b]=2"], "conflicts with an earlier field"],
    [["POST", "/v1/me", "-H", "Authorization: Bearer x"], "sent by this command itself"],
    [["POST", "/v1/me", "-H", "Host: evil"], "sent by this command itself"],
    [["POST", "/v1/me", "-H", "x: a\r\nb: c"], "is not a header"],
    [["POST", "/v1/me", "--input", "/nowhere"], "cannot read"],
    [["GET", "/v1/me", "--input", "-"], "has no body"],
    [["POST", "/v1/me", "--paginate"], "--paginate is of GET"],
  ])("%j is refused before anything is sent", async (argv, words) => {
    const { env, asked } = await startService();
    const { code, err } = await terminal({ env }).run(["api", ...argv]);
    expect(code).toBe(2);
    expect(err).toContain(words);
    expect(asked).toEqual([]);
  });

  test("no path leads to another host, or out of the service's own part of one", () => {
    const bases = ["http://127.0.0.1:4600", "https://api.example.com/sazabi"];
    const paths = [
      "@evil.example/",
      ":80@evil",
      ".evil.example",
      "/../x",
      "/..%2fx",
      "/%2e%2e/x",
      "/a/../../b",
      "?x=@evil",
      "/\tx",
    ];
    for (const base of bases) {
      for (const path of paths) {
        let address: URL;
        try {
          address = addressOf(base, path, {});
        } catch {
          continue;
        }
        expect(address.origin).toBe(new URL(base).origin);
        expect(`${address.pathname}/`.startsWith(`${new URL(base).pathname.replace(/\/$/, "")}/`)).toBe(true);
        expect(address.username + address.password).toBe("");
      }
    }
  });
});
