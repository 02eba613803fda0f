import { afterAll, beforeAll, expect, test } from "vitest";
import { send, startTestService, type TestService } from "./support/index.ts";

let service: TestService;
beforeAll(async () => {
  service = await startTestService();
});
afterAll(() => service.close());

test("an address that sends bodies without a key is refused before they are read; a key in a header is not", async () => {
  const withKey = { headers: { "x-sazabi-key": service.publicKey }, body: { message: "m" } };
  expect(await send(service, "POST /v1/logs", withKey)).toMatchObject({ status: 202 });
  const statuses: number[] = [];
  // Ten a second are forgotten meanwhile: on a slow machine it takes more of them.
  for (let count = 0; count < 1_000 && statuses.at(-1) !== 429; count++) {
    statuses.push((await send(service, "POST /v1/logs", { body: { resourceLogs: [] } })).status);
  }
  expect(statuses.slice(0, 100)).toEqual(Array(100).fill(401));
  expect(statuses.at(-1)).toBe(429);
  // A key that was used here before is not asked about its address.
  expect(await send(service, "POST /v1/logs", withKey)).toMatchObject({ status: 202 });
});
