import { createHash } from "node:crypto";
import { evaluate, levels, parseQuery, type QueryNode, resolveField } from "@sazabi/sdk/protocol";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NormalisedEntry } from "../src/logs/ingest/entry.ts";
import type { LogBatch, LogPosition, LogScope, LogStore, StoredLog } from "../src/logs/log-store.ts";
import { type FreshDatabase, freshDatabase } from "./support/database.ts";
import { queryDatabase } from "./support/index.ts";
import { appendEntries, entryAt, type LogEngine, logEngines, newProject } from "./support/log-engines.ts";
import { entries as anyEntry, queries } from "./support/queries.ts";

/** Each case asks everything there is to ask of one query and one window. */
const everyCase = 150;
const minute = 60_000_000;
const start = Math.floor((Date.now() * 1000) / minute) * minute - 60 * minute;

describe.each(logEngines.map((engine) => [engine.name, engine] as const))(
  "%s",
  (_, { missing, cases, start: startEngine }) => {
    describe.skipIf(missing !== "")(`keeps logs${missing}`, () => {
      let database: FreshDatabase;
      let engine: LogEngine;
      let store: LogStore;
      /** Numbers of projects: one with any entries, one with a few others, one for each test that writes. */
      let main: number;
      let other: number;
      let stored: readonly { readonly entry: NormalisedEntry; readonly id: string }[];

      beforeAll(async () => {
        database = await freshDatabase();
        engine = await startEngine();
        store = await engine.open(database.url);
        await store.runMaintenance();
        main = await newProject(database.url);
        other = await newProject(database.url);
        stored = await store350();
        await append(other, [entryAt(start, { message: "of the other project", service: "other" })]);
      });
      afterAll(async () => {
        await store.close();
        await database.drop();
        await engine.stop();
      });

      const append = (project: number, entries: readonly NormalisedEntry[], more: Partial<LogBatch> = {}) =>
        appendEntries(store, project, entries, more);

      /** 350 entries within four minutes, on edges of minutes and anywhere, some at one moment; in batches of different sizes. */
      async function store350() {
        const places = [0, 1, minute - 1, minute, minute + 1, 2 * minute, 3 * minute - 1, 3 * minute, 123_456_789];
        const entries = fc.sample(anyEntry, { numRuns: 350, seed: 7 }).map((entry, index) => ({
          ...entry,
          // Intake stores no empty environment.
          environment: entry.environment || null,
          bytes: 300,
          timestampMicros:
            start + (index % 3 === 0 ? (places[index % places.length] as number) : (index * 676_767) % (4 * minute)),
        }));
        const all: { entry: NormalisedEntry; id: string }[] = [];
        for (let at = 0; at < entries.length; ) {
          const batch = entries.slice(at, at + 1 + ((at * 7) % 40));
          await append(main, batch);
          for (const entry of batch) all.push({ entry, id: String(all.length + 1) });
          at += batch.length;
        }
        return all;
      }

      function everythingOf(projectNumber: number): LogScope {
        return {
          projectNumbers: [projectNumber],
          query: { kind: "everything" },
          fromMicros: start - minute,
          toMicros: start + 10 * minute,
        };
      }

      async function searchAll(scope: LogScope, limit = 1000): Promise<readonly StoredLog[]> {
        const found: StoredLog[] = [];
        let after: LogPosition | undefined;
        for (;;) {
          const page = await store.search({ ...scope, direction: "asc", limit, after });
          found.push(...page.logs);
          if (!page.more) return found;
          after = found.at(-1)?.position;
        }
      }

      async function followAll(projectNumber: number, query: QueryNode, limit: number): Promise<readonly StoredLog[]> {
        const found: StoredLog[] = [];
        let after: ReadonlyMap<number, bigint> = new Map();
        for (;;) {
          const next = await store.follow({ projectNumbers: [projectNumber], query, after, limit });
          expect(next.logs.length).toBeLessThanOrEqual(limit);
          found.push(...next.logs);
          after = next.after;
          if (!next.more) {
            expect(after).toEqual(await store.heads([projectNumber]));
            return found;
          }
        }
      }

      const idsOf = (logs: readonly StoredLog[]) => logs.map(({ position }) => position.id);
      const byId = (a: string, b: string) => Number(a) - Number(b);
      const sum = (counts: readonly { readonly entries: number }[]) =>
        counts.reduce((total, { entries }) => total + entries, 0);

      describe("one truth", () => {
        /** Half of the queries ask for what the counts per minute know, so that these answer. */
        const counted = fc.constantFrom(
          "",
          "level:error",
          "-level:error",
          "level:>=warn",
          "service:api",
          "service:a*",
          "-service:api level:info",
          "env:prod",
          "-env:prod",
          "env:*",
          "-env:*",
          "service:*",
          "(env:prod OR service:API) -level:trace",
          "env:/^p/",
          "service:>=b",
        );
        const edge = fc.oneof(
          fc.constantFrom(0, 1, minute, minute - 1, 2 * minute, 3 * minute, 4 * minute),
          fc.integer({ min: 0, max: 4 * minute }),
        );
        const groupBy = fc.constantFrom("service" as const, "level" as const, "environment" as const, undefined);
        const bucket = fc.constantFrom(1_000_000, 15_000_000, minute, 2 * minute, 60 * minute);

        test("search, volume, facets and following find the same entries, for any query and window", {
          timeout: 300_000,
        }, async () => {
          let hits = 0;
          const anyCase = fc.record({
            text: fc.oneof(counted, queries),
            a: edge,
            b: edge,
            groupBy,
            bucket,
            limit: fc.integer({ min: 1, max: 400 }),
          });
          await fc.assert(
            fc.asyncProperty(anyCase, async ({ text, a, b, groupBy, bucket, limit }) => {
              const query = parseQuery(text).ast;
              const [fromMicros, toMicros] = [start + Math.min(a, b), start + Math.max(a, b) + 1];
              const scope = { projectNumbers: [main], query, fromMicros, toMicros };
              const holds = stored.filter(({ entry }) => evaluate(query, entry));
              const inWindow = holds.filter(
                ({ entry }) => entry.timestampMicros >= fromMicros && entry.timestampMicros < toMicros,
              );
              hits += inWindow.length;

              expect(idsOf(await searchAll(scope)).sort(byId)).toEqual(inWindow.map(({ id }) => id));
              expect(idsOf(await followAll(main, query, limit))).toEqual(holds.map(({ id }) => id));

              const volume = await store.volume({ ...scope, bucketMicros: bucket, groupBy });
              const expected = new Map<string, number>();
              for (const { entry } of inWindow) {
                const value = groupBy === "level" ? levels[entry.level] : groupBy && entry[groupBy];
                const name = `${Math.floor(entry.timestampMicros / bucket) * bucket} ${JSON.stringify(value || null)}`;
                expected.set(name, (expected.get(name) ?? 0) + 1);
              }
              const real = new Map(
                volume.map(({ group, startMicros, entries }) => [`${startMicros} ${JSON.stringify(group)}`, entries]),
              );
              expect(real).toEqual(expected);
              expect(sum(volume)).toBe(inWindow.length);

              const field = resolveField(groupBy ?? "http.status");
              const facet = await store.facet({ ...scope, field, limit: 1000 });
              const withValue = inWindow.filter(({ entry }) =>
                groupBy ? groupBy === "level" || entry[groupBy] : (entry.attributes["http.status"] ?? null) !== null,
              );
              expect(sum(facet)).toBe(withValue.length);
              // And each value finds what was counted for it.
              for (const { value, entries } of facet.slice(0, 3)) {
                const exactly = { kind: "field", field, test: { kind: "equals", value } } as const;
                const rank = levels.indexOf(value as (typeof levels)[number]);
                const node: QueryNode = field === "level" ? { kind: "level", ranks: [rank] } : (exactly as QueryNode);
                const found = await searchAll({ ...scope, query: { kind: "and", nodes: [query, node] } });
                // Of an attribute, the number 500 and the texts "500" and "5e2" are different values that equal each other.
                if (groupBy) expect(found.length).toBe(entries);
                else if (value.length < 40) expect(found.length).toBeGreaterThanOrEqual(entries);
              }
            }),
            { numRuns: cases(everyCase), seed: 11 },
          );
          expect(hits).toBeGreaterThan(cases(everyCase));
        });

        test(`${cases(10)},000 entries of one moment, in pages of 7: each of them once`, {
          timeout: 300_000,
        }, async () => {
          const project = await newProject(database.url);
          const moment = start + 5 * minute;
          const batches = cases(10);
          const count = batches * 1000;
          for (let batch = 0; batch < batches; batch++) {
            await append(
              project,
              Array.from({ length: 1000 }, (_, index) => entryAt(moment, { message: `${batch * 1000 + index}` })),
            );
          }
          const found = await searchAll(everythingOf(project), 7);
          expect(new Set(found.map(({ message }) => message)).size).toBe(count);
          expect(found).toHaveLength(count);
          expect(sum(await store.volume({ ...everythingOf(project), bucketMicros: minute, groupBy: undefined }))).toBe(
            count,
          );
          expect(idsOf(await followAll(project, { kind: "everything" }, 777))).toEqual(
            Array.from({ length: count }, (_, i) => `${i + 1}`),
          );
        });

        test("where there are too many groups, the largest are counted, and all others as one", async () => {
          const project = await newProject(database.url);
          const services = ["", "large", "large", "large", "second", "second", ..."abcdef"];
          for (const at of [0, 5]) {
            await append(
              project,
              services.map((service) => entryAt(start + at * minute, { message: "m", service })),
            );
          }
          await append(project, [entryAt(start, { message: "m", service: "" })]);
          for (const query of ["", "m"].map((text) => parseQuery(text).ast)) {
            const request = { ...everythingOf(project), query, bucketMicros: minute, groupBy: "service" } as const;
            const counted = await store.volume({ ...request, largestGroups: 3, maxCounts: 17 });
            const shown = counted.map(({ group, otherGroups, startMicros, entries }) => [
              (startMicros - Math.floor(start / minute) * minute) / minute,
              otherGroups ? `${group} of ${otherGroups}` : group,
              entries,
            ]);
            expect(shown).toEqual([
              [0, null, 2],
              [0, "large", 3],
              [0, "second", 2],
              [0, "null of 6", 6],
              [5, null, 1],
              [5, "large", 3],
              [5, "second", 2],
              [5, "null of 6", 6],
            ]);
            expect(await store.volume({ ...request, largestGroups: 3, maxCounts: 18 })).toHaveLength(18);
            await expect(store.volume({ ...request, maxCounts: 17 })).rejects.toMatchObject({
              code: "VALIDATION_ERROR",
            });
          }
        });

        test("nothing of another project is found, counted or followed", async () => {
          const query: QueryNode = parseQuery("other").ast;
          const scope = { ...everythingOf(main), query };
          expect(await searchAll(scope)).toEqual([]);
          expect(await store.volume({ ...scope, bucketMicros: minute, groupBy: undefined })).toEqual([]);
          expect(
            await store.facet({ ...everythingOf(main), field: { column: "service" }, limit: 1000 }),
          ).not.toContainEqual(expect.objectContaining({ value: "other" }));
          expect((await store.fields(everythingOf(main))).services).not.toContainEqual(
            expect.objectContaining({ service: "other" }),
          );
          expect(await followAll(main, query, 10)).toEqual([]);
          expect((await store.find([main], 1n)).map(({ position }) => position.projectNumber)).toEqual([main]);
          expect((await store.find([main, other], 1n)).map(({ position }) => position.projectNumber).sort()).toEqual(
            [main, other].sort(),
          );
        });
      });

      describe("appending", () => {
        const body = (text: string) => createHash("sha256").update(text).digest();

        test("what is stored comes back as it was", async () => {
          const times = new Map(stored.map(({ entry, id }) => [id, entry]));
          for (const { position, level, bytes: _, ...log } of (await searchAll(everythingOf(main))).map((log) => ({
            ...log,
            bytes: 0,
          }))) {
            const {
              level: rank,
              bytes,
              timestampMicros,
              attributes,
              ...entry
            } = times.get(position.id) as NormalisedEntry;
            expect({ ...log, attributes: { ...log.attributes } }).toEqual({ ...entry, attributes: { ...attributes } });
            expect([position.micros, position.projectNumber, level]).toEqual([timestampMicros, main, levels[rank]]);
          }
        });

        test("a request that comes again with its key is answered as the first time, and stores nothing", async () => {
          const project = await newProject(database.url);
          const idempotency = { key: "k", bodyHash: body("one") };
          expect(await append(project, [entryAt(start)], { idempotency })).toEqual({ accepted: 1 });
          const again = await append(project, [entryAt(start)], { idempotency, result: { accepted: 99 } });
          expect(again).toEqual({ accepted: 1 });
          await expect(
            append(project, [entryAt(start)], { idempotency: { key: "k", bodyHash: body("two") } }),
          ).rejects.toMatchObject({
            code: "CONFLICT",
          });
          expect(await searchAll(everythingOf(project))).toHaveLength(1);
        });

        test("an entry whose sender's id is known is not stored again, its neighbours are", async () => {
          const project = await newProject(database.url);
          await append(project, [entryAt(start, { uid: "a" })]);
          const result = await append(project, [
            entryAt(start, { uid: "a" }),
            entryAt(start, { uid: "b", message: "new" }),
          ]);
          expect(result).toEqual({ accepted: 2, duplicates: 1, repeated: [0] });
          expect(await append(project, [entryAt(start, { uid: "b" })])).toEqual({
            accepted: 1,
            duplicates: 1,
            repeated: [0],
          });
          expect((await searchAll(everythingOf(project))).map(({ message }) => message)).toEqual(["m", "new"]);
        });

        test("two replicas write one project: who follows sees each entry once, and none comes in behind", async () => {
          const project = await newProject(database.url);
          const replica = await engine.open(database.url);
          const rounds = cases(50);
          let writing = true;
          const write = async (to: LogStore, name: string) => {
            for (let round = 0; round < rounds; round++) {
              await appendEntries(to, project, [entryAt(start, { message: `${name} ${round}` }), entryAt(start + 1)]);
            }
          };
          const writers = Promise.all([write(store, "a"), write(replica, "b"), write(store, "c")]).then(() => {
            writing = false;
          });
          const followed: StoredLog[] = [];
          let after: ReadonlyMap<number, bigint> = new Map();
          for (let last = false; !last; ) {
            last = !writing;
            const next = await replica.follow({
              projectNumbers: [project],
              query: { kind: "everything" },
              after,
              limit: 1000,
            });
            followed.push(...next.logs);
            after = next.after;
          }
          await writers;
          const ids = idsOf(followed);
          expect(ids).toHaveLength(rounds * 6);
          expect(ids).toEqual([...new Set(ids)].sort(byId));
          for (const name of ["a", "b", "c"]) {
            const own = followed.map(({ message }) => message).filter((message) => message.startsWith(name));
            expect(own).toEqual(Array.from({ length: rounds }, (_, round) => `${name} ${round}`));
          }
          await replica.close();
        });

        test("what is queued when the store closes is committed", async () => {
          const project = await newProject(database.url);
          const closing = await engine.open(database.url);
          const appended = Promise.all(
            Array.from({ length: 20 }, () => appendEntries(closing, project, [entryAt(start)])),
          );
          await closing.close();
          await appended;
          expect(await searchAll(everythingOf(project))).toHaveLength(20);
        });
      });

      describe("what is past a project's retention", () => {
        test("is not found or counted, while its neighbours' entries are", async () => {
          const [short, long] = [await newProject(database.url), await newProject(database.url)];
          for (const project of [short, long])
            await append(
              project,
              [0, 1, 2, 3].map((place) => entryAt(start + place * minute)),
            );
          const keptFrom = new Map([
            [short, start + 2 * minute],
            [long, start - minute],
          ]);
          const scope = { ...everythingOf(short), projectNumbers: [short, long], keptFrom };
          const found = await searchAll(scope);
          expect(found.map(({ position }) => [position.projectNumber, (position.micros - start) / minute])).toEqual([
            [long, 0],
            [long, 1],
            [short, 2],
            [long, 2],
            [short, 3],
            [long, 3],
          ]);
          expect(sum(await store.volume({ ...scope, bucketMicros: minute, groupBy: undefined }))).toBe(6);
          expect(sum(await store.facet({ ...scope, field: "level", limit: 10 }))).toBe(6);
        });

        test("is removed by the next housekeeping, and its neighbours stay", async () => {
          const [short, long] = [await newProject(database.url), await newProject(database.url)];
          const dayMicros = 86_400_000_000;
          for (const project of [short, long]) {
            await append(project, [entryAt(start), entryAt(start - 3 * dayMicros), entryAt(start - 5 * dayMicros)]);
          }
          await queryDatabase(database.url, "update projects set retention_days = 4 where number = $1", [short]);
          await store.runMaintenance();
          const scope = { ...everythingOf(short), fromMicros: start - 10 * dayMicros };
          // PostgreSQL does it in the background.
          await expect.poll(async () => (await searchAll(scope)).length).toBe(2);
          expect(await searchAll({ ...scope, projectNumbers: [long] })).toHaveLength(3);
        });
      });

      describe("what takes too long", () => {
        test("is stopped, and says what to do", async () => {
          const project = await newProject(database.url);
          for (let batch = 0; batch < 4; batch++) {
            await append(
              project,
              Array.from({ length: 250 }, () => entryAt(start, { message: "ab".repeat(20_000) })),
            );
          }
          const impatient = await engine.open(database.url, { readTimeoutMs: 20 });
          const query = parseQuery("/(a|b|ab)*(a|ba|c)*(ab|a|b|d)*[xz].*[yw]/").ast;
          const search = impatient.search({
            ...everythingOf(project),
            query,
            direction: "desc",
            limit: 10,
            after: undefined,
          });
          await expect(search).rejects.toMatchObject({
            code: "TIMEOUT",
            status: 504,
            message: expect.stringContaining("Narrow"),
          });
          await impatient.close();
        });

        test("whoever has left already asks nothing", async () => {
          const signal = AbortSignal.abort(new Error("gone"));
          const search = store.search({ ...everythingOf(main), direction: "desc", limit: 1, after: undefined, signal });
          await expect(search).rejects.toThrow("gone");
        });
      });

      describe("patterns", () => {
        test("messages that differ in numbers alone are one pattern, counted exactly, of each service and level", async () => {
          const project = await newProject(database.url);
          const entries = Array.from({ length: 30 }, (_, index) =>
            entryAt(start + index, {
              message: `request ${index * 7919} took ${index} ms`,
              service: index < 20 ? "api" : "web",
              level: index % 10 === 0 ? 4 : 2,
            }),
          );
          await append(project, entries.slice(0, 11));
          await append(project, [...entries.slice(11), entryAt(start, { message: "something else" })]);
          const found = await store.patterns({ ...everythingOf(project), limit: 100 });
          const [id] = found.map(({ patternId }) => patternId);
          const requests = found.filter(({ patternId }) => patternId === id);
          expect(requests.map(({ service, level, entries }) => [service, level, entries])).toEqual([
            ["api", "info", 18],
            ["web", "info", 9],
            ["api", "error", 2],
            ["web", "error", 1],
          ]);
          expect(requests[0]).toMatchObject({
            template: expect.stringContaining("took"),
            firstMicros: start + 1,
            lastMicros: start + 19,
            representative: { micros: start + 19, projectNumber: project, id: "20" },
          });
          expect(sum(found)).toBe(31);
          expect(await store.patterns({ ...everythingOf(project), limit: 1 })).toEqual(found.slice(0, 1));
          expect(sum(await store.patterns({ ...everythingOf(main), limit: 100_000 }))).toBe(stored.length);
        });
      });

      describe("finding by id", () => {
        test("each entry is found by its id, as it was stored; an id that is nobody's finds nothing", async () => {
          for (const { entry, id } of stored.filter((_, index) => index % 25 === 0)) {
            const found = await store.find([main], BigInt(id));
            expect(found).toHaveLength(1);
            expect(found[0]).toMatchObject({
              position: { micros: entry.timestampMicros, projectNumber: main, id },
              message: entry.message,
              service: entry.service,
            });
          }
          for (const id of [0n, BigInt(stored.length + 1), 2n ** 63n - 1n])
            expect(await store.find([main], id)).toEqual([]);
        });

        test("a batch whose entries are days apart is found by id and followed whole", async () => {
          const project = await newProject(database.url);
          const times = Array.from({ length: 60 }, (_, index) => start - ((index * 37) % 60) * 7 * 3_600 * 1_000_000);
          await append(
            project,
            times.map((time, index) => entryAt(time, { message: `${index}` })),
          );
          await append(project, [entryAt(start, { message: "after" })]);
          const followed = await followAll(project, { kind: "everything" }, 13);
          expect(followed.map(({ message }) => message)).toEqual([...times.keys(), "after"].map(String));
          for (const id of [1, 2, 30, 60]) expect(idsOf(await store.find([project], BigInt(id)))).toEqual([String(id)]);
          const { rows } = await queryDatabase(
            database.url,
            "select count(*)::int as n from log_commits where project_number = $1",
            [project],
          );
          expect(rows[0].n).toBe(17);
        });
      });

      describe("searching what is large", () => {
        const sizes = {
          messages: { message: "x".repeat(200_000), attributes: {} },
          attributes: { message: "m", attributes: { text: "x".repeat(200_000) } },
        };
        test.each(Object.entries(sizes))(
          "pages of large %s are bounded in bytes, and hold each once",
          async (_, large) => {
            const project = await newProject(database.url);
            await append(
              project,
              Array.from({ length: 60 }, (_, at) => entryAt(start + at, large)),
            );
            for (const query of ["", "x* OR text:x*"]) {
              const scope = { ...everythingOf(project), query: parseQuery(query).ast, maxBytes: 2_000_000 };
              const first = await store.search({ ...scope, direction: "desc", limit: 1000, after: undefined });
              expect(first.logs.length).toBeLessThan(12);
              expect(first.more).toBe(true);
              const all = await searchAll(scope);
              expect(all.map(({ position }) => Number(position.id))).toEqual(
                Array.from({ length: 60 }, (_, at) => at + 1),
              );
              const one = await store.search({
                ...scope,
                maxBytes: 1,
                direction: "asc",
                limit: 1000,
                after: undefined,
              });
              expect(one).toMatchObject({ logs: { length: 1 }, more: true });
            }
          },
        );

        test("values of a field are taken up to the one with which they have 8 MiB", async () => {
          const project = await newProject(database.url);
          const values = Array.from({ length: 60 }, (_, at) => `${at} ${"x".repeat(200_000)}`);
          await append(
            project,
            values.map((text) => entryAt(start, { attributes: { text } })),
          );
          const found = await store.facet({ ...everythingOf(project), field: { attribute: "text" }, limit: 100 });
          expect(found).toHaveLength(42);
          expect(found.map(({ value }) => value)).toEqual([...values].sort().slice(0, 42));
        });
      });

      describe("following", () => {
        test("what is large comes in parts: an answer is bounded in bytes, and nothing is lost", async () => {
          const project = await newProject(database.url);
          const message = "x".repeat(200_000);
          await append(
            project,
            Array.from({ length: 60 }, () => entryAt(start, { message })),
          );
          const first = await store.follow({
            projectNumbers: [project],
            query: { kind: "everything" },
            after: new Map(),
            limit: 1000,
          });
          expect(first.logs.length).toBeLessThan(30);
          expect(first.more).toBe(true);
          expect(await followAll(project, { kind: "everything" }, 1000)).toHaveLength(60);
        });

        test("several projects are followed side by side, each from its own place", async () => {
          const [a, b] = [await newProject(database.url), await newProject(database.url)];
          await append(a, [entryAt(start), entryAt(start)]);
          await append(b, [entryAt(start), entryAt(start)]);
          const next = await store.follow({
            projectNumbers: [a, b],
            query: { kind: "everything" },
            after: new Map([
              [a, 1n],
              [b, 0n],
            ]),
            limit: 100,
          });
          expect(next.logs.map(({ position: { projectNumber, id } }) => [projectNumber, id])).toEqual([
            [a, "2"],
            [b, "1"],
            [b, "2"],
          ]);
          expect(next.after).toEqual(
            new Map([
              [a, 2n],
              [b, 2n],
            ]),
          );
        });

        test("commits past their retention are let go, later ones are kept", async () => {
          const project = await newProject(database.url);
          await append(project, [entryAt(start)]);
          await queryDatabase(
            database.url,
            `insert into log_commits (project_number, last_id, first_id, min_ts, max_ts)
       values ($1, 100, 90, now() - interval '40 days', now() - interval '35 days')`,
            [project],
          );
          await store.runMaintenance();
          const { rows } = await queryDatabase(
            database.url,
            "select last_id from log_commits where project_number = $1",
            [project],
          );
          expect(rows).toEqual([{ last_id: "1" }]);
        });
      });

      describe("fields", () => {
        test("what the newest entries hold is told with the services that hold it", async () => {
          const project = await newProject(database.url);
          await append(project, [
            entryAt(start, { service: "api", attributes: { "http.status": 500, user: "u1" } }),
            entryAt(start + 1, { service: "web", attributes: { user: "u2" } }),
            entryAt(start + 2, { service: "api", attributes: { user: "u3" } }),
          ]);
          const fields = await store.fields(everythingOf(project));
          expect(fields.services).toEqual([
            { service: "api", entries: 2 },
            { service: "web", entries: 1 },
          ]);
          expect(fields.attributes.map((one) => ({ ...one, services: [...one.services].sort() }))).toEqual([
            { key: "user", services: ["api", "web"], entries: 3 },
            { key: "http.status", services: ["api"], entries: 1 },
          ]);
          expect(await store.facet({ ...everythingOf(project), field: { attribute: "user" }, limit: 2 })).toEqual([
            { value: "u1", entries: 1 },
            { value: "u2", entries: 1 },
          ]);
        });
      });
    });
  },
);
