import type { KeyKind } from "@sazabi/sdk";
import { type Command, Option } from "commander";
import type { AddCommands, Opening } from "./groups.ts";
import { addListOptions } from "./paging.ts";

const actions = () => import("./keys-actions.ts");

export const addKeys: AddCommands = (keys, opening) => {
  const { open } = opening;
  addSecretKeys(keys.command("secret-keys").description("keys that read and manage; keep them secret"), opening);
  addPublicKeys(keys.command("public-keys").description("keys that can only send logs to one project"), opening);

  addCreateOptions(keys.command("create").description("create a key and print it, this once"), "secret")
    .addOption(typeOption().default("secret"))
    .option("--project <project>", "secret: narrow the key to a project; public: the project it sends to")
    .action(async (words, { type, ...options }) => (await actions()).create(open(), type, words, options));

  addListOptions(keys.command("list").description("list the keys of both kinds"))
    .addOption(typeOption())
    .option("--project <project>", "list the public keys of this project")
    .action(async ({ type, ...options }) =>
      (await actions()).list(open(), type ? [type] : ["secret", "public"], options),
    );

  addRevokeOptions(keys.command("revoke").description("end a key, at once and for good"))
    .option("--project <project>", "the project of a public key")
    .action(async (ref, options) => (await actions()).revoke(open(), ["secret", "public"], ref, options));

  keys
    .command("inspect")
    .description("tell what a pasted key is and whether it is mistyped; asks no service")
    .argument("[key]", "the key; - (the default) reads it from stdin")
    .action(async (key: string | undefined) => (await import("./keys-inspect.ts")).inspect(open(), key));
};

export const addSecretKeys: AddCommands = (group, opening) => addKind(group, opening, "secret");
export const addPublicKeys: AddCommands = (group, opening) => addKind(group, opening, "public");

function addKind(group: Command, { open }: Opening, kind: KeyKind): void {
  const withProject = (command: Command) =>
    kind === "public" ? command.option("--project <project>", "the project, by id or name") : command;

  const create = addCreateOptions(group.command("create").description("create a key and print it, this once"), kind);
  create
    .option(
      "--project <project>",
      kind === "secret" ? "narrow the key to this project" : "the project it sends to, by id or name",
    )
    .action(async (words, options) => (await actions()).create(open(), kind, words, options));

  withProject(addListOptions(group.command("list").description("list the keys"))).action(async (options) =>
    (await actions()).list(open(), [kind], options),
  );

  withProject(group.command("get").description("print one key's details").argument("<key>", "its id or name")).action(
    async (ref, options) => (await actions()).get(open(), kind, ref, options),
  );

  withProject(group.command("update").description("rename a key, or change when it expires"))
    .argument("<key>", "its id or name")
    .option("--name <name>", "the new name")
    .addOption(expiresOption())
    .addOption(new Option("--expires-at <time>", "the same as --expires").hideHelp())
    .addOption(new Option("--clear-expires-at", "the same as --expires never").hideHelp())
    .action(async (ref, options) => (await actions()).update(open(), kind, ref, options));

  withProject(addRevokeOptions(group.command("revoke").description("end a key, at once and for good")))
    .aliases(kind === "secret" ? ["delete"] : ["deactivate", "delete"])
    .action(async (ref, options) => (await actions()).revoke(open(), [kind], ref, options));
}

function addCreateOptions(command: Command, kind: KeyKind): Command {
  command
    .argument("[name...]", "what the key is for; the same as --name")
    .option("--name <name>", "what the key is for")
    .addOption(
      new Option("--style <style>", "live: sk_live_… or pk_live_…; sazabi: sazabi_secret_… or sazabi_public_…").choices(
        ["live", "sazabi"],
      ),
    )
    .addOption(expiresOption())
    .addOption(new Option("--expires-at <time>", "the same as --expires").hideHelp());
  if (kind === "secret")
    command.option("--scopes <scopes>", "what the key may do, e.g. read:logs,read:keys (default: everything)");
  return command;
}

function addRevokeOptions(command: Command): Command {
  return command
    .argument("<key>", "its id or name, or the key itself")
    .option("-y, --yes", "do not ask")
    .option("--force", "even if it is the key in use, or the last one");
}

const expiresOption = () =>
  new Option("--expires <when>", "15m, 1h, 8h, 24h, 7d, 30d, 90d, any such time from now, a date, or never");

const typeOption = () => new Option("--type <kind>", "secret or public").choices(["secret", "public"]);
