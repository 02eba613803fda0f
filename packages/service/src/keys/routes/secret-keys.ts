import type { SecretKey } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import type { SecretCaller } from "../../auth/caller.ts";
import { assertNoEscalation, privilegesOf } from "../../auth/privileges.ts";
import type { Queryable } from "../../db/database.ts";
import { ApiError } from "../../errors.ts";
import { clientAddress, type HttpEnv } from "../../http/context.ts";
import { authorOf } from "../../http/guards.ts";
import { withIdempotency } from "../../http/idempotency.ts";
import { pageOf, pageQuery } from "../../http/page.ts";
import { readBody, readId, readQuery } from "../../http/request.ts";
import { noContent, ok } from "../../http/respond.ts";
import { readProject } from "../../projects/project-scope.ts";
import { keyCreated, keyRevoked, keyUpdated } from "../events.ts";
import { newSecret } from "../generate.ts";
import { findKey, insertKey, listKeys, revokeKey, updateKey, withValue } from "../store/keys.ts";
import {
  assertNotLockedOut,
  expiryOfMade,
  forceQuery,
  grantedScopes,
  keyChangeFields,
  keyFilters,
  newKeyFields,
  noOrigins,
  refuseEmptyChange,
  refuseTooManyKeys,
  revocationQuery,
  withExpiryTime,
} from "./fields.ts";
import { keepAdministrator } from "./last-administrator.ts";
import { rotationRoutes } from "./rotation.ts";

const listQuery = pageQuery.extend(keyFilters);
const newSecretKey = z.strictObject({
  ...newKeyFields,
  scopes: grantedScopes.default(["*"]),
  allowedOrigins: noOrigins,
});
const secretKeyChange = z.strictObject({
  ...keyChangeFields,
  scopes: grantedScopes.optional(),
  allowedOrigins: noOrigins,
});

export const secretKeyRoutes = (services: AppContext) => {
  const { db, change, flushUses, pepper, guards, now } = services;
  const { secretKey } = guards;

  /** The key may have gained privileges since, or the caller may have lost some. */
  async function refuseReplay(tx: Queryable, caller: SecretCaller, id: string): Promise<void> {
    assertNoEscalation(caller, privilegesOf(found(await findKey(tx, caller, "secret", id)) as SecretKey, services));
  }

  return (
    new Hono<HttpEnv>()
      .get(
        "/",
        secretKey("secretKeys.list", "read:keys", async (c, caller) => {
          const { limit, cursor, ...filters } = readQuery(c, listQuery);
          const found = await listKeys(db, caller, "secret", { limit, cursor, ...filters });
          const { page, nextCursor } = pageOf(found, limit);
          return ok(c, { secretKeys: page, nextCursor });
        }),
      )

      .get(
        "/:id",
        secretKey("secretKeys.get", "read:keys", async (c, caller) => {
          const [owner, id] = [caller, readId(c, "id", "secret key")];
          let key = found(await findKey(db, owner, "secret", id));
          if (key.rotation) {
            await flushUses(id);
            key = found(await findKey(db, owner, "secret", id));
          }
          return ok(c, { secretKey: key });
        }),
      )

      .post(
        "/",
        secretKey("secretKeys.create", "write:keys", async (c, caller) => {
          const wanted = await readBody(c, newSecretKey);
          const expiresAt = expiryOfMade(wanted, now(), caller);
          const projectId = wanted.projectId ?? caller.projectId;
          if (projectId) await readProject(db, caller, projectId);
          // Without its own list, a key inherits the allowed addresses of its creator.
          const allowedAddresses = wanted.allowedAddresses ?? caller.allowedAddresses;
          assertNoEscalation(caller, {
            projectId,
            scopes: wanted.scopes,
            allowedAddresses,
            expiresAtMs: expiresAt?.getTime(),
            requestsPerMinute: wanted.requestsPerMinute ?? services.requestsPerMinute,
          });
          const answer = await change(authorOf(c, caller), (tx) =>
            withIdempotency(c, services, {
              tx,
              caller,
              request: wanted,
              authorizeReplay: ({ secretKey }) => refuseReplay(tx, caller, secretKey.id),
              work: async () => {
                const secret = newSecret(pepper, "secret", wanted.style);
                const { style, name, scopes, requestsPerMinute } = wanted;
                const { organizationId, keyId: createdBy } = caller;
                const limits = { scopes, expiresAt, requestsPerMinute, allowedAddresses };
                const key = await insertKey(
                  tx,
                  { organizationId, projectId, kind: "secret", style, name, ...limits, createdBy },
                  secret,
                );
                await refuseTooManyKeys(tx, organizationId);
                tx.record(keyCreated(key));
                return { secretKey: withValue(key, secret.value) };
              },
            }),
          );
          return ok(c, answer, 201);
        }),
      )

      .patch(
        "/:id",
        secretKey("secretKeys.update", "write:keys", async (c, caller) => {
          const id = readId(c, "id", "secret key");
          const wanted = withExpiryTime(await readBody(c, secretKeyChange), now());
          const { force } = readQuery(c, forceQuery);
          refuseEmptyChange(wanted);
          const { allowedAddresses } = wanted;
          if (allowedAddresses) assertNotLockedOut(caller, id, allowedAddresses, clientAddress(c));
          const key = await change(authorOf(c, caller), async (tx) => {
            // The current privileges count too: a caller must not change a key that it could not create.
            const before = found(await findKey(tx, caller, "secret", id)) as SecretKey;
            assertNoEscalation(caller, privilegesOf(before, services));
            const { organizationId } = caller;
            const key = await keepAdministrator(
              c,
              tx,
              { organizationId, force: force || !takesRights(wanted) },
              async () => found(await updateKey(tx, caller, "secret", id, wanted)) as SecretKey,
            );
            assertNoEscalation(caller, privilegesOf(key, services));
            tx.record(keyUpdated(key, before, wanted));
            return key;
          });
          return ok(c, { secretKey: key });
        }),
      )

      // Responds when every replica rejects the key.
      .delete(
        "/:id",
        secretKey("secretKeys.delete", "write:keys", async (c, caller) => {
          const id = readId(c, "id", "secret key");
          const { force, reason } = readQuery(c, revocationQuery);
          await change(
            authorOf(c, caller),
            async (tx) => {
              const how = { revokedBy: caller.keyId, reason };
              const { organizationId } = caller;
              const revoked = await keepAdministrator(c, tx, { organizationId, force }, async () =>
                found(await revokeKey(tx, caller, "secret", id, how)),
              );
              if (revoked.revokedNow) tx.record(keyRevoked(revoked.key, reason));
            },
            "revocations",
          );
          return noContent(c);
        }),
      )

      .route("/", rotationRoutes(services, "secret"))
  );
};

/** Returns whether a change may reduce the privileges of its key. */
function takesRights({
  scopes,
  expiresAt,
  allowedAddresses,
}: Omit<z.infer<typeof secretKeyChange>, "expiresIn">): boolean {
  return scopes !== undefined || Boolean(expiresAt) || (allowedAddresses?.length ?? 0) > 0;
}

function found<Key>(key: Key | undefined): Key {
  if (!key) throw new ApiError("NOT_FOUND", "No such secret key.");
  return key;
}
