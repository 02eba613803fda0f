import { accountOf } from "../credentials/store.ts";
import { CliError } from "../errors.ts";
import { askStore, type Session } from "../session.ts";
import { checkProfileName, defaultProfile, findProfile, updateSettings } from "../settings.ts";
import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";
import { addOutputOptions } from "./output-options.ts";

export const addProfiles: AddCommands = (profiles, { open }) => {
  addOutputOptions(addExamples(profiles.command("list").description("list the profiles"), "sazabi profiles list"), {
    fields: ["name", "active", "organization", "key", "apiUrl"],
  }).action(async () => list(open()));

  addExamples(profiles.command("use").description("set the default profile"), "sazabi profiles use work")
    .argument("<name>")
    .action(async (name: string) => {
      const session = open();
      requireProfile(session, name);
      await updateSettings(session.context.configDirectory, (settings) => ({ ...settings, activeProfile: name }));
      await session.result({ activeProfile: name }, () => session.out(`Profile ${name} is now used by default.`));
    });

  addExamples(
    profiles.command("create").description("create a profile; `auth login --profile <name>` creates one too"),
    "sazabi profiles create staging",
  )
    .argument("<name>", "letters, digits, - and _")
    .action(async (name: string) => {
      const session = open();
      checkProfileName(name);
      if (findProfile(session.settings, name)) {
        throw new CliError(`There is a profile ${name} already.`, { code: "CONFLICT" });
      }
      await updateSettings(session.context.configDirectory, (settings) => ({
        ...settings,
        profiles: { [name]: {}, ...settings.profiles },
      }));
      await session.result({ created: name }, () =>
        session.out(`Created profile ${name}. Log in with: sazabi auth login --profile ${name}`),
      );
    });

  addExamples(profiles.command("delete").description("delete a profile and its key"), "sazabi profiles delete work")
    .argument("<name>")
    .action(async (name: string) => remove(open(), name));
};

async function list(session: Session): Promise<void> {
  const active = session.profileName.value;
  const names = new Set([...Object.keys(session.settings.profiles ?? {}), active, defaultProfile]);
  const items = [...names].sort().map((name) => {
    const { apiUrl, login } = findProfile(session.settings, name) ?? {};
    return {
      name,
      active: name === active,
      apiUrl: apiUrl ?? null,
      organization: login?.organization.name ?? null,
      key: login?.masked ?? null,
    };
  });
  await session.list(
    { items, nextCursor: null },
    [
      { title: "name", value: (profile) => profile.name, narrow: "keep" },
      { title: "active", value: (profile) => (profile.active ? "yes" : ""), narrow: "keep" },
      { title: "organization", value: (profile) => profile.organization, narrow: "cut" },
      { title: "key", value: (profile) => profile.key, narrow: "drop" },
      { title: "address", value: (profile) => profile.apiUrl, narrow: "drop" },
    ],
    "There are no profiles.",
  );
}

async function remove(session: Session, name: string): Promise<void> {
  const { login } = requireProfile(session, name);
  if (name === session.settings.activeProfile) {
    throw new CliError(`Profile ${name} is the one in use.`, {
      code: "CONFLICT",
      hint: "Choose another first: sazabi profiles use.",
    });
  }
  if (login) {
    const store = await session.context.openStore(login.store);
    await askStore(() => store.delete(accountOf(name, login.apiUrl)));
  }
  await updateSettings(session.context.configDirectory, (settings) => {
    const { [name]: _, ...rest } = settings.profiles ?? {};
    return { ...settings, profiles: rest };
  });
  await session.result({ deleted: name }, () => session.out(`Deleted profile ${name}.`));
}

function requireProfile(session: Session, name: string) {
  const profile = findProfile(session.settings, name);
  if (profile) return profile;
  checkProfileName(name);
  const known = Object.keys(session.settings.profiles ?? {}).join(", ") || "none";
  throw new CliError(`There is no profile ${name}.`, {
    code: "NOT_FOUND",
    exit: "notFound",
    hint: `There are: ${known}.`,
  });
}
