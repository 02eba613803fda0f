import { readBaseUrl } from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import type { Session } from "../session.ts";
import { type Profile, settingsPath, updateProfile } from "../settings.ts";
import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";
import { addOutputOptions } from "./output-options.ts";
import { isId, requireProjectId } from "./project-option.ts";

/** Settings that `config set` accepts, each with its validator. Only a login changes a profile's login. */
const settable: Readonly<Record<string, (text: string, session: Session) => string | Promise<string>>> = {
  apiUrl: (text) => readBaseUrl(text),
  projectId: async (text, session) =>
    isId(text) ? text : requireProjectId(session, await session.admin(), text, "config set projectId"),
};

export const addConfig: AddCommands = (config, { open }) => {
  addExamples(config.command("get").description("print one setting"), "sazabi config get projectId")
    .argument("<name>", Object.keys(settable).join(" or "))
    .action(async (name: string) => {
      const session = open();
      checkSettable(name);
      const value = settingOf(session, name);
      if (value === undefined) throw new CliError(`${name} is not set.`, { code: "NOT_FOUND", exit: "notFound" });
      await session.result({ [name]: value }, () => session.out(value));
    });

  addExamples(
    config.command("set").description("change one setting of this profile"),
    "sazabi config set apiUrl https://logs.example.com",
  )
    .argument("<name>", Object.keys(settable).join(" or "))
    .argument("<value>", "the value")
    .action(async (name: string, text: string) => {
      const session = open();
      const value = await readValue(session, name, text);
      await change(session, { [name]: value }, (profile) => ({ ...profile, [name]: value }));
    });

  addExamples(
    config.command("unset").description("remove one setting of this profile"),
    "sazabi config unset projectId",
  )
    .argument("<name>", Object.keys(settable).join(" or "))
    .action(async (name: string) => {
      checkSettable(name);
      await change(open(), { [name]: null }, (profile) =>
        Object.fromEntries(Object.entries(profile).filter(([known]) => known !== name)),
      );
    });

  addOutputOptions(
    addExamples(config.command("list").description("print the settings of this profile"), "sazabi config list"),
    {
      fields: ["name", "value"],
    },
  ).action(async () => {
    const session = open();
    const items = Object.keys(settable).map((name) => ({ name, value: settingOf(session, name) ?? null }));
    await session.list(
      { items, nextCursor: null },
      [
        { title: "name", value: (setting) => setting.name, narrow: "keep" },
        { title: "value", value: (setting) => setting.value, narrow: "keep" },
      ],
      "",
    );
  });

  addExamples(config.command("path").description("print where the settings are"), "sazabi config path").action(
    async () => {
      const session = open();
      const path = settingsPath(session.context.configDirectory);
      await session.result({ path }, () => session.out(path));
    },
  );
};

function settingOf({ profile }: Session, name: string): string | undefined {
  return (profile as Readonly<Record<string, unknown>>)[name] as string | undefined;
}

async function change(session: Session, answer: object, update: (profile: Profile) => Profile): Promise<void> {
  const { value: profile } = session.profileName;
  await updateProfile(session.context.configDirectory, profile, update);
  await session.result(answer, () => session.remark(`Changed profile ${profile}.`));
}

function checkSettable(name: string): void {
  if (Object.hasOwn(settable, name)) return;
  throw usageError(`There is no setting ${name}.`, `There are: ${Object.keys(settable).join(", ")}.`);
}

async function readValue(session: Session, name: string, text: string): Promise<string> {
  checkSettable(name);
  try {
    return (await settable[name]?.(text, session)) as string;
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw usageError(`Invalid ${name} ${JSON.stringify(text)}. ${(error as Error).message}`);
  }
}
