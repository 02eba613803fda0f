import { type Region, regions } from "@sazabi/sdk";
import { visible } from "../output/visible.ts";
import { updateProfile } from "../settings.ts";
import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";
import { readName } from "./name-argument.ts";
import { addOutputOptions } from "./output-options.ts";
import { requireProjectId } from "./project-option.ts";
import { orSayWhereToLook } from "./unknown-outcome.ts";

export const addProjects: AddCommands = (projects, { open }) => {
  addOutputOptions(
    addExamples(projects.command("list").description("list the projects that the key can see"), "sazabi projects list"),
    {
      fields: ["id", "name", "active", "region", "retentionDays", "organizationId", "createdAt"],
    },
  ).action(async () => {
    const session = open();
    const admin = await session.admin();
    const items = await admin.projects.list({ signal: session.context.signal });
    const active = session.project(undefined)?.value;
    const isActive = ({ id, name }: (typeof items)[number]) => active === id || active === name;
    await session.list(
      { items: items.map((project) => ({ ...project, active: isActive(project) })), nextCursor: null },
      [
        { title: "id", value: (project) => project.id, narrow: "keep" },
        { title: "name", value: (project) => project.name, narrow: "cut" },
        { title: "active", value: (project) => (project.active ? "yes" : ""), narrow: "drop" },
        { title: "region", value: (project) => project.region, narrow: "drop" },
      ],
      "There are no projects.",
    );
  });

  addExamples(projects.command("create").description("create a project"), "sazabi projects create --name checkout")
    .argument("[name...]", "its name; the same as --name")
    .option("--name <name>", "its name")
    .addOption(projects.createOption("--region <region>", "a label").choices(regions))
    .action(async (words: readonly string[], options: { readonly name?: string; readonly region?: Region }) => {
      const session = open();
      const body = { ...options, name: readName("project", words, options.name) };
      const admin = await session.admin();
      const making = admin.projects.create(body, { signal: session.context.signal });
      const project = await orSayWhereToLook(session, making, "project", "sazabi projects list");
      await session.result(project, () => session.out(`Created project "${visible(project.name)}" (${project.id}).`));
    });

  addExamples(
    projects.command("use").description("set the default project of this profile"),
    "sazabi projects use shop",
  )
    .argument("<project>", "its id or name")
    .action(async (idOrName: string) => {
      const session = open();
      const admin = await session.admin();
      const id = await requireProjectId(session, admin, idOrName, "projects use");
      const project = await admin.projects.get(id, { signal: session.context.signal });
      const { value: profile } = session.profileName;
      await updateProfile(session.context.configDirectory, profile, (known) => ({ ...known, projectId: project.id }));
      await session.result({ project }, () =>
        session.out(`Profile ${profile} now uses project "${visible(project.name)}".`),
      );
    });
};
