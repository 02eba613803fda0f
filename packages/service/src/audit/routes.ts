import { type AuditAction, auditActions } from "@sazabi/sdk/protocol";
import { Hono } from "hono";
import { z } from "zod";
import type { AppContext } from "../app-context.ts";
import { unknownCursor } from "../db/cursor.ts";
import { ApiError } from "../errors.ts";
import type { HttpEnv } from "../http/context.ts";
import { readQuery } from "../http/request.ts";
import { ok } from "../http/respond.ts";
import { findAuditHead, listAuditEvents } from "./store.ts";

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));

const listQuery = z.object({
  action: z
    .string()
    .transform((text, context) => {
      const action = auditActions.find((known) => known === text);
      if (action) return action;
      context.addIssue({ code: "custom", message: `must be one of ${nearActions(text).join(", ")}` });
      return z.NEVER;
    })
    .optional(),
  actorId: z.uuid().optional(),
  targetId: z.uuid().optional(),
  from: time.optional(),
  to: time.optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
  cursor: z
    .string()
    .regex(/^[1-9]\d{0,14}$/, "must be the nextCursor of an earlier answer")
    .transform(Number)
    .optional(),
});

/** Suggests actions with the same noun, else with the same verb, else all. */
function nearActions(text: string): readonly AuditAction[] {
  const [noun, verb] = text.split(".", 2);
  const ofNoun = auditActions.filter((action) => action.split(".")[0] === noun);
  if (ofNoun.length > 0) return ofNoun;
  const ofVerb = auditActions.filter((action) => action.split(".")[1] === verb);
  return ofVerb.length > 0 ? ofVerb : auditActions;
}

/** Lists audit events of the organization, newest first, and the head of their hash chain. */
export const auditRoutes = ({ db, guards: { secretKey } }: AppContext) =>
  new Hono<HttpEnv>().get(
    "/",
    secretKey("audit.list", "read:audit", async (c, caller) => {
      if (caller.projectId) throw organizationOnly();
      const { limit, cursor, ...filter } = readQuery(c, listQuery);
      const head = await findAuditHead(db, caller.organizationId);
      if (cursor !== undefined && cursor > head.seq) throw unknownCursor();
      const events = await listAuditEvents(db, caller.organizationId, { ...filter, before: cursor, limit });
      const page = events.slice(0, limit);
      const nextCursor = events.length > limit ? String(page.at(-1)?.seq) : null;
      return ok(c, { events: page, nextCursor, head });
    }),
  );

/** The audit log is one hash chain per organization, and a part of it could not be verified. */
function organizationOnly(): ApiError {
  return new ApiError("FORBIDDEN", "This key is narrowed to one project; the audit is of the whole organization.", {
    reason: "project_mismatch",
  });
}
