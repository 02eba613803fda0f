import { randomUUID } from "node:crypto";
import type { Created, PublicKey } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import type { Change } from "../../audited-transaction.ts";
import { assertNoWiderPublicKey } from "../../auth/privileges.ts";
import { seal, unseal } from "../../crypto/envelope-encryption.ts";
import { sqlState } from "../../db/database.ts";
import { ApiError } from "../../errors.ts";
import type { HttpContext, HttpEnv } from "../../http/context.ts";
import { authorOf } from "../../http/guards.ts";
import { withIdempotency } from "../../http/idempotency.ts";
import { pageOf, pageQuery } from "../../http/page.ts";
import { readBody, readId, readQuery } from "../../http/request.ts";
import { ok } from "../../http/respond.ts";
import { readProject } from "../../projects/project-scope.ts";
import { keyCreated, keyRevealed, keyRevoked, keyUpdated } from "../events.ts";
import { newSecret } from "../generate.ts";
import {
  findKey,
  findLogForwardingKey,
  insertKey,
  type KeyOwner,
  listKeys,
  revokeExpiredLogForwardingKey,
  revokeKey,
  updateKey,
  withValue,
} from "../store/keys.ts";
import {
  allowedOrigins,
  expiryOfMade,
  keyChangeFields,
  keyFilters,
  newKeyFields,
  refuseEmptyChange,
  refuseTooManyKeys,
  withExpiryTime,
} from "./fields.ts";
import { rotationRoutes } from "./rotation.ts";

const projectQuery = z.object({ projectId: z.uuid().optional() });
const listQuery = pageQuery.extend({ ...projectQuery.shape, ...keyFilters });
const newPublicKey = z.strictObject({ ...newKeyFields, allowedOrigins: allowedOrigins.optional() });
const publicKeyChange = z.strictObject({
  ...keyChangeFields,
  allowedOrigins: allowedOrigins.optional(),
  ...projectQuery.shape,
});

const forwardingKeyName = "sazabi-cli-forward";
const expiry = "expired";

export const publicKeyRoutes = (services: AppContext) => {
  const { db, change, flushUses, guards, pepper, now } = services;
  const { secretKey } = guards;
  return (
    new Hono<HttpEnv>()
      .get(
        "/",
        secretKey("publicKeys.list", "read:keys", async (c, caller) => {
          const { limit, cursor, projectId, ...filters } = readQuery(c, listQuery);
          const project = await readProject(db, caller, projectId);
          const owner = { organizationId: caller.organizationId, projectId: project.id };
          const found = await listKeys(db, owner, "public", { limit, cursor, ...filters });
          const { page, nextCursor } = pageOf(found, limit);
          return ok(c, { publicKeys: page, nextCursor });
        }),
      )

      .post(
        "/",
        secretKey("publicKeys.create", "write:keys", async (c, caller) => {
          const wanted = await readBody(c, newPublicKey);
          const expiresAt = expiryOfMade(wanted, now(), caller) ?? null;
          const allowedAddresses = wanted.allowedAddresses ?? caller.allowedAddresses;
          assertNoWiderPublicKey(caller, { allowedAddresses, expiresAt });
          const project = await readProject(db, caller, wanted.projectId);
          const answer = await change(authorOf(c, caller), (tx) =>
            withIdempotency(c, services, {
              tx,
              caller,
              request: wanted,
              authorizeReplay: async ({ publicKey }) => {
                const key = found(await findKey(tx, caller, "public", publicKey.id));
                assertNoWiderPublicKey(caller, key);
              },
              work: async () => {
                const secret = newSecret(pepper, "public", wanted.style);
                const { style, name, requestsPerMinute, allowedOrigins } = wanted;
                const limits = {
                  expiresAt: expiresAt ?? undefined,
                  requestsPerMinute,
                  allowedAddresses,
                  allowedOrigins,
                };
                const owner = { organizationId: caller.organizationId, projectId: project.id, createdBy: caller.keyId };
                const key = await insertKey(
                  tx,
                  { ...owner, kind: "public", style, name, scopes: [], ...limits },
                  secret,
                );
                await refuseTooManyKeys(tx, caller.organizationId);
                tx.record(keyCreated(key));
                return { publicKey: withValue(key, secret.value) };
              },
            }),
          );
          return ok(c, answer, 201);
        }),
      )

      // Registered before "/:id", which would match "log-forwarding" as an id.
      .post(
        "/log-forwarding/ensure",
        secretKey("publicKeys.ensureLogForwarding", "write:keys", async (c, caller) => {
          const { projectId } = await readBody(c, projectQuery);
          const project = await readProject(db, caller, projectId);
          const owner = { organizationId: caller.organizationId, projectId: project.id };
          const ensure = () =>
            change(authorOf(c, caller), (tx) => ensureLogForwarding(services, tx, owner, caller.keyId));
          const publicKey = await ensure().catch((error) => {
            // Another request created the key concurrently, so it exists now.
            if (sqlState(error) === "23505") return ensure();
            throw error;
          });
          return ok(c, { publicKey });
        }),
      )

      .get(
        "/:id",
        secretKey("publicKeys.get", "read:keys", async (c, caller) => {
          const [owner, id] = [ownerOf(c, caller), readId(c, "id", "public key")];
          let key = found(await findKey(db, owner, "public", id));
          if (key.rotation) {
            await flushUses(id);
            key = found(await findKey(db, owner, "public", id));
          }
          return ok(c, { publicKey: key });
        }),
      )

      .patch(
        "/:id",
        secretKey("publicKeys.update", "write:keys", async (c, caller) => {
          const id = readId(c, "id", "public key");
          const { projectId, ...wanted } = withExpiryTime(await readBody(c, publicKeyChange), now());
          refuseEmptyChange(wanted);
          assertNoWiderPublicKey(caller, wanted);
          const owner = narrowed(caller, projectId);
          const key = await change(authorOf(c, caller), async (tx) => {
            const before = found(await findKey(tx, owner, "public", id));
            assertNoWiderPublicKey(caller, before);
            const key = found(await updateKey(tx, owner, "public", id, wanted));
            tx.record(keyUpdated(key, before, wanted));
            return key;
          });
          return ok(c, { publicKey: key });
        }),
      )

      // Responds when every replica rejects the key.
      .post(
        "/:id/deactivate",
        secretKey("publicKeys.deactivate", "write:keys", async (c, caller) => {
          const owner = ownerOf(c, caller);
          const id = readId(c, "id", "public key");
          const key = await change(
            authorOf(c, caller),
            async (tx) => {
              const revoked = found(await revokeKey(tx, owner, "public", id, { revokedBy: caller.keyId }));
              if (revoked.revokedNow) tx.record(keyRevoked(revoked.key, undefined));
              return revoked.key;
            },
            "revocations",
          );
          return ok(c, { publicKey: key });
        }),
      )

      .route("/", rotationRoutes(services, "public"))
  );
};

/**
 * Returns the log-forwarding key of the project with its value, and creates it if it does not exist.
 * It is the only key whose value can be read again, because published clients request it each time.
 * The value is stored encrypted, and each read is audited.
 */
async function ensureLogForwarding(
  { pepper, master }: AppContext,
  tx: Change,
  owner: { organizationId: string; projectId: string },
  createdBy: string,
): Promise<Created<PublicKey>> {
  const existing = await findLogForwardingKey(tx, owner.projectId);
  if (existing) {
    tx.record(keyRevealed(existing.key));
    return withValue(existing.key, unseal(master, sealIdentity(existing.key.id), existing.sealed));
  }
  const expired = await revokeExpiredLogForwardingKey(tx, owner.projectId, { revokedBy: createdBy, reason: expiry });
  if (expired) tx.record(keyRevoked(expired, expiry));
  const secret = newSecret(pepper, "public", "live");
  const id = randomUUID();
  const key = await insertKey(
    tx,
    {
      ...owner,
      id,
      kind: "public",
      style: "live",
      name: forwardingKeyName,
      scopes: [],
      expiresAt: undefined,
      createdBy,
      sealedValue: seal(master, sealIdentity(id), secret.value),
    },
    secret,
  );
  await refuseTooManyKeys(tx, owner.organizationId);
  tx.record(keyCreated(key));
  return withValue(key as PublicKey, secret.value);
}

function sealIdentity(keyId: string): string {
  return `keys/${keyId}/value`;
}

/** Clients name the project in the query. A key restricted to a project stays restricted. */
function ownerOf(c: HttpContext, caller: KeyOwner): KeyOwner {
  return narrowed(caller, readQuery(c, projectQuery).projectId);
}

function narrowed(caller: KeyOwner, projectId: string | undefined): KeyOwner {
  if (projectId && caller.projectId && projectId !== caller.projectId) throw notFound();
  return { organizationId: caller.organizationId, projectId: projectId ?? caller.projectId };
}

function found<Key>(key: Key | undefined): Key {
  if (!key) throw notFound();
  return key;
}

function notFound(): ApiError {
  return new ApiError("NOT_FOUND", "No such public key.");
}
