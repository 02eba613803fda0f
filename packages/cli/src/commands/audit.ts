import type { AddCommands } from "./groups.ts";
import { addListOptions } from "./paging.ts";
import { addWindowOptions } from "./window.ts";

const actions = () => import("./audit-actions.ts");

export const addAudit: AddCommands = (audit, { open }) => {
  addListOptions(addWindowOptions(audit.command("list").description("print what was done, newest first")))
    .option("--action <action>", "only this: secret_key.created, public_key.revoked, …")
    .option("--actor <id>", "only what this key did")
    .option("--target <id>", "only what was done to this key, project or organization")
    .action(async (options) => (await actions()).list(open(), options));

  audit
    .command("verify")
    .description("read the whole record and compute its chain of hashes anew")
    .option(
      "--known-head <seq:hash>",
      "a head that an earlier verification printed: it must still be part of the chain",
    )
    .action(async (options) => (await actions()).verify(open(), options));
};
