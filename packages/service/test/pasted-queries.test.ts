import { afterAll, beforeAll, expect, test } from "vitest";
import { bearer, send, startTestService, type TestService } from "./support/index.ts";

/*
 * What people paste into a search, and which of these entries it finds. Each form was reported as lost or misread by a
 * similar product.
 */

const entries: Readonly<Record<string, object>> = {
  path: { message: "open /var/log/app.log failed" },
  url: { message: "GET https://shop.example/api/v1?x=1&y=2#top 200" },
  windows: { message: "cannot read C:\\Users\\ada\\file.txt" },
  digits: { message: "pattern \\d+ matched" },
  quotes: { message: 'he said "no way" twice' },
  bracket: { message: "[main] user=7 (id: 42) {a,b} done" },
  dollar: { message: "cost is $5 today, 100% paid" },
  address: { message: "peer 203.0.113.9 left" },
  uuid: { message: "request 0f8fad5b-d9cb-469f-a165-70867728950e ended" },
  manager: { message: "started ConnectionManagerImpl ok" },
  minus: { message: "exit -1 with --force" },
  russian: { message: "Ошибка соединения" },
  japanese: { message: "接続エラーが発生" },
  german: { message: "Größe ÜBERSCHRITTEN" },
  emoji: { message: "deploy 🚒 done now" },
  number: { message: "code one", code: 503, tags: ["prod", "eu"] },
  text: { message: "code two", code: "503", tags: ["test"] },
  zeros: { message: "code three", code: "007", file: "report.ab" },
  slow: { message: "took long", took: "1.2s", size: "10KB" },
  quick: { message: "took less", took: "90ms", size: "4KB" },
};

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
  const body = Object.entries(entries).map(([name, members]) => ({ service: name, ...members }));
  const answer = await send(service, "POST /v1/logs", { headers: { "x-sazabi-key": service.publicKey }, body });
  expect(answer.body.data).toEqual({ accepted: body.length });
});
afterAll(() => service.close());

test.each<[string, readonly string[]]>([
  // Slashes
  ["/var/log/app.log", ["path"]],
  ['"/var/log/app.log"', ["path"]],
  ["/log/", ["path"]],
  ["https://shop.example/api/v1?x=1&y=2#top", ["url"]],
  ["shop.example/api", ["url"]],
  ["/GET https:\\/\\/[a-z.]+\\/api/", ["url"]],
  ["message:/app\\.log/", ["path"]],
  // Backslashes and quotes
  ["C:\\Users\\ada", ["windows"]],
  ['"C:\\\\Users\\\\ada"', ["windows"]],
  ["\\d+", ["digits"]],
  ['"\\\\d+"', ["digits"]],
  ['"no way"', ["quotes"]],
  ['"said \\"no"', ["quotes"]],
  // Brackets, signs
  ['"user=7 (id: 42)"', ["bracket"]],
  ["[main]", ["bracket"]],
  ['"{a,b}"', ["bracket"]],
  ["user=7", ["bracket"]],
  ["$5", ["dollar"]],
  ["100%", ["dollar"]],
  ['"-1"', ["minus"]],
  ['"--force"', ["minus"]],
  ["203.0.113.9", ["address"]],
  ["0f8fad5b-d9cb-469f-a165-70867728950e", ["uuid"]],
  ["code -one -two", ["zeros"]],
  // Wildcards
  ["*Manager*", ["manager"]],
  ["connectionmanager*", ["manager"]],
  ["file:*ab", ["zeros"]],
  ["*hree file:*", ["zeros"]],
  ["conn?ctionM*", ["manager"]],
  // Case and scripts
  ["ОШИБКА", ["russian"]],
  ["ошибка СОЕДИНЕНИЯ", ["russian"]],
  ["エラー", ["japanese"]],
  ["größe überschritten", ["german"]],
  ["🚒", ["emoji"]],
  // Numbers and texts
  ["code:503", ["number", "text"]],
  ['code:"503"', ["number", "text"]],
  ["code:5*", ["number", "text"]],
  ["code:007", ["zeros"]],
  ["code:7", []],
  // Lists, durations, sizes
  ["tags:prod", ["number"]],
  ["tags:(prod OR test)", ["number", "text"]],
  ["took:>100ms", ["slow"]],
  ["took:<=90ms", ["quick"]],
  ["size:>5KB", ["slow"]],
])("%s", async (query, services) => {
  const body = { search: { query }, pagination: { limit: 1000 } };
  const answer = await send(service, "POST /v1/logs/query", { headers: bearer(service.secretKey), body });
  const found = answer.body.data.map((entry: { service: string }) => entry.service);
  expect(found.toSorted()).toEqual(services.toSorted());
});
