import type { KeySecretState } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../../app-context.ts";
import type { SecretCaller } from "../../auth/caller.ts";
import type { CachedKey } from "../../auth/verify/cached-key.ts";
import { ApiError, invalidMember } from "../../errors.ts";
import type { HttpEnv } from "../../http/context.ts";
import { authorOf } from "../../http/guards.ts";
import { noPages } from "../../http/page.ts";
import { readBody, readId, readQuery } from "../../http/request.ts";
import { ok } from "../../http/respond.ts";
import { readProject } from "../../projects/project-scope.ts";
import { keyRevoked } from "../events.ts";
import { findKey, revokeAllKeys } from "../store/keys.ts";
import { listKeyUsage } from "../usage/store.ts";
import { forceQuery, revocationReason } from "./fields.ts";
import { keepAdministrator } from "./last-administrator.ts";

const revokeAll = z.strictObject({
  projectId: z.uuid().optional(),
  kind: z.enum(["public", "secret"]).optional(),
  unusedForDays: z.number().int().min(1).max(3650).optional(),
  /** Ids of keys that are not revoked, or `caller` for the key of the request. */
  except: z
    .array(z.union([z.uuid(), z.literal("caller")]))
    .max(1000)
    .default([]),
  reason: revocationReason.optional(),
});

/** The text of a key. It is compared, and neither logged nor stored. */
const identification = z.strictObject({ key: z.string().min(8).max(500) });
const maxIdentificationBytes = 4096;

const stepSeconds = { "1m": 60, "5m": 300, "1h": 3600, "1d": 86_400 } as const;
const maxSteps = 2_000;
const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const usageQuery = z.object({
  from: time.optional(),
  to: time.optional(),
  interval: z.enum(["1m", "5m", "1h", "1d"]).default("1h"),
  ...noPages,
});

/** Maximum number of revoked keys in a response. The audit log contains all of them. */
const maxListed = 1_000;

/** Operations on keys of both kinds. */
export const keyRoutes = ({ db, change, identifyKey, flushUses, now, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>()
    // Emergency revocation: when it responds, every replica rejects the keys.
    .post(
      "/revoke-all",
      secretKey("keys.revokeAll", "write:keys", async (c, caller) => {
        const { projectId, kind, unusedForDays, except, reason } = await readBody(c, revokeAll);
        const { force } = readQuery(c, forceQuery);
        if (projectId) await readProject(db, caller, projectId);
        const owner = { organizationId: caller.organizationId, projectId: projectId ?? caller.projectId };
        const kept = except.map((id) => (id === "caller" ? caller.keyId : id));
        const revoked = await change(
          authorOf(c, caller),
          async (tx) => {
            const how = { revokedBy: caller.keyId, reason };
            const { organizationId } = caller;
            const keys = await keepAdministrator(c, tx, { organizationId, force }, () =>
              revokeAllKeys(tx, owner, { kind, unusedForDays, except: kept }, how),
            );
            for (const key of keys) tx.record(keyRevoked(key, reason));
            return keys;
          },
          "revocations",
        );
        return ok(c, {
          revokedCount: revoked.length,
          revoked: revoked.slice(0, maxListed).map(({ id, name, masked }) => ({ id, name, masked })),
        });
      }),
    )

    .post(
      "/identify",
      secretKey("keys.identify", "read:keys", async (c, caller) => {
        const { key: text } = await readBody(c, identification, maxIdentificationBytes);
        const found = await identifyKey(text);
        if (!found || !isVisibleTo(caller, found)) {
          throw new ApiError("NOT_FOUND", "No key of this organization has this secret.");
        }
        const { keyId, kind, projectId = null } = found;
        return ok(c, { keyId, kind, projectId, secret: secretStateOf(found, now()) });
      }),
    )

    .get(
      "/:id/usage",
      secretKey("keys.usage", "read:keys", async (c, caller) => {
        const id = readId(c, "id", "key");
        const { interval, ...window } = readQuery(c, usageQuery);
        const end = window.to ?? new Date(now());
        const start = window.from ?? new Date(end.getTime() - 86_400_000);
        if (start >= end) throw invalidMember("from", "must be before `to`");
        const { from, to } = wholeMinutes(start, end);
        const step = stepSeconds[interval];
        if ((to.getTime() - from.getTime()) / 1000 / step > maxSteps) {
          throw invalidMember(
            "interval",
            `would give more than ${maxSteps} points; take a longer one or a shorter window`,
          );
        }
        const key = (await findKey(db, caller, "secret", id)) ?? (await findKey(db, caller, "public", id));
        if (!key) throw new ApiError("NOT_FOUND", "No such key.");
        await flushUses(id);
        const points = await listKeyUsage(db, id, { from, to, stepSeconds: step });
        return ok(c, {
          keyId: id,
          from: from.toISOString(),
          to: to.toISOString(),
          interval,
          points: points.map(({ start, ...counts }) => ({ start: start.toISOString(), ...counts })),
        });
      }),
    );

/** Keys of other organizations are reported like keys that do not exist. */
function isVisibleTo({ organizationId, projectId }: SecretCaller, key: CachedKey): boolean {
  return key.organizationId === organizationId && (projectId === undefined || key.projectId === projectId);
}

function secretStateOf({ retiresAtMs }: CachedKey, nowMs: number): KeySecretState {
  if (retiresAtMs === undefined) return "current";
  return retiresAtMs > nowMs ? "previous" : "replaced";
}

/** Uses are counted per minute, so a window includes every minute it touches. */
function wholeMinutes(from: Date, to: Date): { readonly from: Date; readonly to: Date } {
  const minuteMs = 60_000;
  return {
    from: new Date(Math.floor(from.getTime() / minuteMs) * minuteMs),
    to: new Date(Math.ceil(to.getTime() / minuteMs) * minuteMs),
  };
}
