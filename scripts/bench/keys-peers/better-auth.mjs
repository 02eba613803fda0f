// better-auth's API keys in their fastest configuration: all keys in process memory, no database.
import { createServer } from "node:http";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";

const resource = { projects: [{ id: "7d0b4e0e-8a3c-4d9e-9f43-0f3a4a1b2c3d", name: "default", region: "us-west-2" }] };
const stored = new Map();
const auth = betterAuth({
  baseURL: "http://127.0.0.1",
  secret: "for this measurement only, and never for more",
  secondaryStorage: {
    get: async (name) => stored.get(name) ?? null,
    set: async (name, value) => void stored.set(name, value),
    delete: async (name) => void stored.delete(name),
  },
  logger: { disabled: true },
  telemetry: { enabled: false },
  plugins: [
    apiKey({ storage: "secondary-storage", rateLimit: { enabled: true, maxRequests: 1_000_000, timeWindow: 60_000 } }),
  ],
});
// Each key has its own owner, because a long list of an owner's keys would slow down every verification.
const { internalAdapter } = await auth.$context;
const keys = [];
for (let count = 0; count < Number(process.env.KEYS); count++) {
  const user = await internalAdapter.createUser({
    name: "bench",
    email: `bench-${count}@example.com`,
    emailVerified: true,
  });
  keys.push((await auth.api.createApiKey({ body: { userId: user.id, name: "bench" } })).key);
}

const server = createServer(async ({ headers }, response) => {
  const key = headers.authorization?.slice("Bearer ".length) ?? "";
  const { valid } = await auth.api.verifyApiKey({ body: { key } });
  response.writeHead(valid ? 200 : 401, { "content-type": "application/json" });
  response.end(JSON.stringify(resource));
});
server.listen(0, "127.0.0.1", () => process.send({ url: `http://127.0.0.1:${server.address().port}`, keys }));
process.on("message", () => {
  const { user: own, system } = process.cpuUsage();
  process.send({ cpuMicros: own + system });
});
process.once("disconnect", () => {
  server.close();
  server.closeAllConnections();
});
