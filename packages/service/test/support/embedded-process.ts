import { openEmbeddedPostgres } from "../../src/embedded-postgres.ts";

// A process that runs an embedded PostgreSQL until its standard input ends, for tests that kill it.
// It writes one line of JSON for each thing that happens.
const say = (event: object) => console.log(JSON.stringify(event));

try {
  const server = await openEmbeddedPostgres({
    dataDir: process.argv[2] as string,
    onProgress: (message) => say({ progress: message }),
  });
  say({ url: server.url });
  for await (const _ of process.stdin);
  await server.close();
  say({ closed: true });
} catch (error) {
  say({ error: (error as Error).message });
  process.exitCode = 1;
}
