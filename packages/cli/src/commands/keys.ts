import type { KeyKind, UsageInterval } from "@sazabi/sdk";
import type { Command } from "commander";
import { InvalidArgument } from "../invalid-argument.ts";
import type { AddCommands, CommandEnvironment } from "./command.ts";
import { addExamples } from "./examples.ts";
import { addOutputOptions } from "./output-options.ts";
import { addListOptions, parseLimit } from "./paging.ts";
import { collectList } from "./repeatable.ts";
import { addFenceOptions } from "./restriction-options.ts";
import { addWindowOptions } from "./window-options.ts";

const actions = () => import("./keys-actions.ts");

export const addKeys: AddCommands = (keys, opening) => {
  const { open } = opening;
  addSecretKeys(keys.command("secret-keys").description("keys that read and manage; keep them secret"), opening);
  addPublicKeys(keys.command("public-keys").description("keys that can only send logs to one project"), opening);

  const createEither = addCreateOptions(
    keys.command("create").description("create a key and print it (shown only once)"),
    "secret",
  );
  addExamples(
    createEither,
    'sazabi keys create --name "CI/CD pipeline" --expires 30d --scopes read:logs',
    'sazabi keys create "Production logs" --type public --project shop',
  );
  addFenceOptions(createEither, ["secret", "public"], false)
    .addOption(typeOption(keys).default("secret"))
    .option("--project <project>", "secret: narrow the key to a project; public: the project it sends to")
    .action(async (words, { type, ...options }) => (await actions()).create(open(), type, words, options));

  addKeyListOptions(
    addExamples(
      keys.command("list").description("list the keys of both kinds"),
      "sazabi keys list",
      "sazabi keys list --unused-for 90d --csv --fields id,name,lastUsedAt",
    ),
    ["secret", "public"],
  )
    .addOption(typeOption(keys))
    .option("--project <project>", "list the public keys of this project")
    .action(async ({ type, ...options }) => (await actions()).list(open(), kindsOf(type), options));

  addRevokeOptions(
    addExamples(
      keys.command("revoke").description("revoke a key immediately and permanently"),
      'sazabi keys revoke ci --reason "moved to another service"',
    ),
  )
    .addOption(typeOption(keys))
    .option("--project <project>", "the project of a public key")
    .action(async (ref, { type, ...options }) => (await actions()).revoke(open(), kindsOf(type), ref, options));

  addRotateOptions(keys.command("rotate").description(rotateDescription), "keys rotate", "ci")
    .addHelpText("after", selfExample)
    .option("--self", "rotate the key in use")
    .addOption(typeOption(keys))
    .option("--project <project>", "the project of a public key")
    .action(async (ref, { type, ...options }) => (await rotation()).rotate(open(), kindsOf(type), ref, options));

  addUsageOptions(
    addExamples(
      keys.command("usage").description("print how often a key was used"),
      "sazabi keys usage ci --since 7d --interval 1d",
    ),
  )
    .addOption(typeOption(keys))
    .option("--project <project>", "the project of a public key")
    .action(async (ref, { type, ...options }) =>
      (await import("./keys-usage.ts")).usage(open(), kindsOf(type), ref, options),
    );

  keys
    .command("revoke-all")
    .description("revoke all keys, or those that match the filters, permanently")
    .addOption(keys.createOption("--kind <kind>", "only keys of this kind").choices(["secret", "public"]))
    .option("--project <project>", "only keys of this project, by id or name")
    .option("--unused-for <days>", "only keys unused for at least this long, e.g. 90d")
    .option("--except <ids>", "comma-separated ids of keys to keep", collectList)
    .option("--keep-self", "keep the key in use (the default)")
    .option("--include-self", "also revoke the key in use")
    .option("--force", "even if no key could administer the organization afterwards")
    .option("--reason <text>", "the reason, for the audit log")
    .option("-y, --yes", "do not ask")
    .addHelpText(
      "after",
      `
At a terminal you must type the organization's name. When the command returns, no instance of
the service accepts the keys.

  sazabi keys revoke-all --unused-for 90d
  sazabi keys revoke-all --kind secret --reason "laptop stolen" --yes`,
    )
    .action(async (options) => (await import("./keys-revoke-all.ts")).revokeAll(open(), options));

  addExamples(
    keys.command("inspect").description("check a key's type and checksum offline"),
    "sazabi keys inspect < key.txt",
  )
    .argument("[key]", "the key; - (the default) reads it from stdin")
    .action(async (key: string | undefined) => (await import("./keys-inspect.ts")).inspect(open(), key));
};

export const addSecretKeys: AddCommands = (group, opening) => addKind(group, opening, "secret");
export const addPublicKeys: AddCommands = (group, opening) => addKind(group, opening, "public");

function addKind(group: Command, { open }: CommandEnvironment, kind: KeyKind): void {
  const [words, name] = [`sazabi keys ${kind}-keys`, kind === "secret" ? "ci" : "web"];
  const withProject = (command: Command) =>
    kind === "public" ? command.option("--project <project>", "the project, by id or name") : command;

  const create = addCreateOptions(
    group.command("create").description("create a key and print it (shown only once)"),
    kind,
  );
  addExamples(
    create,
    kind === "secret"
      ? `${words} create "CI/CD pipeline" --expires 30d --scopes read:logs`
      : `${words} create "Production logs" --project shop --allow-origin https://app.example.com`,
  );
  addFenceOptions(create, [kind], false)
    .option(
      "--project <project>",
      kind === "secret" ? "restrict the key to this project" : "the project it sends to, by id or name",
    )
    .action(async (words, options) => (await actions()).create(open(), kind, words, options));

  const list = addKeyListOptions(group.command("list").description("list the keys"), [kind]);
  addExamples(withProject(list), `${words} list --revoked`).action(async (options) =>
    (await actions()).list(open(), [kind], options),
  );

  const get = group
    .command("get")
    .description("print one key's details")
    .argument("<key>", "its id or name, or the key itself");
  addExamples(withProject(get), `${words} get ${name}`).action(async (ref, options) =>
    (await actions()).get(open(), kind, ref, options),
  );

  const update = withProject(group.command("update").description("change a key's name, expiry or rights"))
    .argument("<key>", "its id or name, or the key itself")
    .option("--name <name>", "the new name")
    .addOption(expiresOption(group))
    .addOption(limitOption(group));
  addFenceOptions(update, [kind], true);
  addExamples(update, `${words} update ${name} --name "${name} (old)" --expires 8h --limit 60`);
  if (kind === "secret")
    update
      .option("--scopes <scopes>", "the new scopes, e.g. read:logs; * is all", collectList)
      .option("--force", "even if no key could administer the organization afterwards");
  update
    .addOption(group.createOption("--expires-at <time>", "the same as --expires").conflicts("expires").hideHelp())
    .addOption(
      group
        .createOption("--clear-expires-at", "the same as --expires never")
        .conflicts(["expires", "expiresAt"])
        .hideHelp(),
    )
    .action(async (ref, options) => (await actions()).update(open(), kind, ref, options));

  addExamples(
    withProject(addRevokeOptions(group.command("revoke").description("revoke a key immediately and permanently"))),
    `${words} revoke ${name}`,
  )
    .aliases(kind === "secret" ? ["delete"] : ["deactivate", "delete"])
    .action(async (ref, options) => (await actions()).revoke(open(), [kind], ref, options));

  const rotate = withProject(
    addRotateOptions(group.command("rotate").description(rotateDescription), `keys ${kind}-keys rotate`, name),
  );
  if (kind === "secret") rotate.option("--self", "rotate the key in use").addHelpText("after", selfExample);
  rotate.action(async (ref, options) => (await rotation()).rotate(open(), [kind], ref, options));

  const usage = addUsageOptions(group.command("usage").description("print how often a key was used"));
  addExamples(withProject(usage), `${words} usage ${name} --since 7d --interval 1d`).action(async (ref, options) =>
    (await import("./keys-usage.ts")).usage(open(), [kind], ref, options),
  );
}

const rotation = () => import("./keys-rotate.ts");

const rotateDescription = "rotate a key; the previous secret stays valid for a grace period";

const selfExample = "  sazabi keys rotate --self --grace 24h --exec 'gh secret set SAZABI_SECRET_KEY'";

/** Adds the options of `keys rotate`. `words` is the command in the examples, `name` the key in them. */
function addRotateOptions(command: Command, words: string, name: string): Command {
  return command
    .argument("[key]", "its id or name, or the key itself")
    .option("--grace <time>", "how long the previous secret stays valid: 0, 90s, 1h, 7d, up to 30d", "1h")
    .option("--exec <command>", "run this shell command with the new secret on its stdin")
    .option("--env-file <file>", "write the new secret to this file, as SAZABI_SECRET_KEY or SAZABI_PUBLIC_KEY")
    .addOption(
      command
        .createOption("--dotenv <file>", "the same, also for a file that does not exist yet")
        .conflicts("envFile")
        .hideHelp(),
    )
    .option("--github-output", "set the output `key` of this GitHub Actions step to the new secret")
    .option("--stdout", "print the new secret (the default without another destination)")
    .option("--finish", "end the previous secret once the new one is verified; alone: end it now")
    .option("--cancel", "end the new secret; only the previous one works again")
    .option("--idempotency-key <text>", "a rerun with the same text gets the same secret, on any machine, for a day")
    .option("-y, --yes", "do not ask")
    .addHelpText(
      "after",
      `
The new secret is delivered and verified before the grace period of the previous one begins.
If a step fails, the previous secret still works, and the same command resumes there.

  sazabi ${words} ${name} --env-file .env
  sazabi ${words} ${name} --finish`,
    );
}

function addUsageOptions(command: Command): Command {
  const intervals: readonly UsageInterval[] = ["1m", "5m", "1h", "1d"];
  const fields = ["start", "generation", "accepted", "refused"];
  return addOutputOptions(addWindowOptions(command.argument("<key>", "its id or name, or the key itself")), {
    fields,
  }).addOption(command.createOption("--interval <time>", "the interval (default: 1h)").choices(intervals));
}

const keyFields = ["id", "type", "name", "masked", "style", "createdAt", "expiresAt", "lastUsedAt", "lastUsedAddress"];
const moreKeyFields = ["requestsPerMinute", "allowedAddresses", "projectId"];
const fieldsOfKind: Readonly<Record<KeyKind, readonly string[]>> = {
  secret: ["scopes", "revokedAt"],
  public: ["allowedOrigins", "deactivatedAt"],
};
const rotationFields = [
  "previousMasked",
  "previousExpiresAt",
  "currentUses",
  "previousUses",
  "previousLastUsedAt",
  "previousLastUsedAddress",
];

function addKeyListOptions(command: Command, kinds: readonly KeyKind[]): Command {
  const fields = [...keyFields, ...moreKeyFields, ...kinds.flatMap((kind) => fieldsOfKind[kind])];
  const more = rotationFields.map((name) => `rotation.${name}`);
  if (kinds.includes("public")) more.push("dataSourceConnectionId");
  return addListOptions(addOutputOptions(command, { fields, more }))
    .option("--unused-for <days>", "only keys unused for at least this long, e.g. 90d")
    .option("--revoked", "include revoked and deactivated keys");
}

function addCreateOptions(command: Command, kind: KeyKind): Command {
  command
    .argument("[name...]", "what the key is for; the same as --name")
    .option("--name <name>", "what the key is for")
    .addOption(
      command
        .createOption("--style <style>", "live: sk_live_… or pk_live_…; sazabi: sazabi_secret_… or sazabi_public_…")
        .choices(["live", "sazabi"]),
    )
    .addOption(expiresOption(command))
    .addOption(command.createOption("--expires-at <time>", "the same as --expires").conflicts("expires").hideHelp())
    .addOption(limitOption(command));
  if (kind === "secret")
    command.option(
      "--scopes <scopes>",
      "what the key may do, e.g. read:logs,read:keys (default: everything)",
      collectList,
    );
  return command;
}

function addRevokeOptions(command: Command): Command {
  return command
    .argument("<key>", "its id or name, or the key itself")
    .option("-y, --yes", "do not ask")
    .option("--force", "even if it is the key in use, or the last one")
    .option("--reason <text>", "the reason, for the audit log");
}

const expiresOption = (command: Command) =>
  command.createOption(
    "--expires <when>",
    "15m, 1h, 8h, 24h, 7d, 30d, 90d, any other duration, a date (its first instant), or never",
  );

const limitOption = (command: Command) =>
  command.createOption("--limit <n>", "requests per minute, or default").argParser((text) => {
    if (text === "default") return text;
    const limit = parseLimit(text);
    if (limit > 1_000_000) throw new InvalidArgument("At most 1,000,000, or default.");
    return limit;
  });

const typeOption = (command: Command) =>
  command.createOption("--type <kind>", "secret or public").choices(["secret", "public"]);

const kindsOf = (type: KeyKind | undefined): readonly KeyKind[] => (type ? [type] : ["secret", "public"]);
