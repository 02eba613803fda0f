import { onTestFinished } from "vitest";
import { someKey } from "../../../sdk/test/support/keys.ts";
import { type Answer, type Asked, refusal, startLoopback } from "../../../sdk/test/support/loopback.ts";

export { type Answer, type Asked, refusal, someKey };

export const keyId = "0b0e7a3e-58f2-4b43-9a57-1f6f6a7f2f10";
export const projectId = "7d0b4e0e-8a3c-4d9e-9f43-0f3a4a1b2c3d";

const organization = { id: "org-1", name: "Acme", slug: "acme" };

export function secretKeyOf(value: string, more: object = {}) {
  return {
    id: keyId,
    name: "first",
    masked: `sk_live_…${value.slice(-4)}`,
    style: "live",
    createdAt: "2026-11-22T08:00:00.000Z",
    expiresAt: null,
    lastUsedAt: null,
    lastUsedAddress: null,
    requestsPerMinute: null,
    allowedAddresses: [],
    rotation: null,
    projectId: null,
    scopes: ["*"],
    revokedAt: null,
    ...more,
  };
}

type Answers = Readonly<Record<string, (asked: Asked) => Answer | Promise<Answer>>>;

/**
 * A service on loopback that knows one secret key, and `alsoKnown`, and answers `GET /v1/me` for it; the test adds the
 * rest.
 */
export async function startService(answers: Answers = {}, alsoKnown: readonly string[] = []) {
  const secretKey = someKey("secret");
  const publicKey = someKey("public");
  const me = {
    credentialType: "secret",
    organization,
    keyName: "first",
    key: secretKeyOf(secretKey),
  };
  const guarded = Object.entries<(asked: Asked) => Answer | Promise<Answer>>({
    "GET /v1/me": () => ({ body: me }),
    ...answers,
  }).map(
    ([route, answer]) =>
      [route, (asked: Asked) => checkKey(asked, [secretKey, ...alsoKnown]) ?? answer(asked)] as const,
  );
  const server = await startLoopback(Object.fromEntries(guarded));
  onTestFinished(server.close);
  return { ...server, secretKey, publicKey, env: { SAZABI_API_URL: server.url, SAZABI_SECRET_KEY: secretKey } };
}

function checkKey({ method, path, headers }: Asked, secretKeys: readonly string[]): Answer | undefined {
  if (["POST /v1/logs", "GET /healthz"].includes(`${method} ${path}`)) return undefined;
  if (secretKeys.some((key) => headers.authorization === `Bearer ${key}`)) return undefined;
  return refusal(401, "UNAUTHORIZED", "Unknown key.", { reason: "invalid_api_key" });
}
