import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";
import { addOutputOptions } from "./output-options.ts";
import { addListOptions } from "./paging.ts";
import { addWindowOptions } from "./window-options.ts";

const eventFields = [
  "seq",
  "at",
  "action",
  "actor.kind",
  "actor.id",
  "actor.name",
  "target.kind",
  "target.id",
  "target.name",
  "address",
  "requestId",
  "details",
  "id",
  "organizationId",
  "previousHash",
  "hash",
];

const actions = () => import("./audit-actions.ts");

export const addAudit: AddCommands = (audit, { open }) => {
  const list = addListOptions(addWindowOptions(audit.command("list").description("print audit events, newest first")));
  addOutputOptions(list, { fields: eventFields })
    .option("--action <action>", "only this: secret_key.created, public_key.revoked, …")
    .option("--actor <id>", "only what this key did")
    .option("--target <id>", "only what was done to this key, project or organization")
    .action(async (options) => (await actions()).list(open(), options));
  addExamples(list, "sazabi audit list --since 7d --action secret_key.revoked", "sazabi audit list --all --ndjson");

  const verify = audit
    .command("verify")
    .description("read the whole audit log and verify its hash chain")
    .option(
      "--known-head <seq:hash>",
      "a head that an earlier verification printed: it must still be part of the chain",
    )
    .action(async (options) => (await actions()).verify(open(), options));
  addExamples(verify, "sazabi audit verify");
};
