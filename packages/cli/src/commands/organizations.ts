import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";
import { addOutputOptions } from "./output-options.ts";

export const addOrganizations: AddCommands = (organizations, { open }) => {
  addOutputOptions(
    addExamples(
      organizations.command("list").description("list the organizations that the key can see"),
      "sazabi organizations list",
    ),
    {
      fields: ["id", "name", "slug"],
    },
  ).action(async () => {
    const session = open();
    const admin = await session.admin();
    const items = await admin.organizations.list({ signal: session.context.signal });
    await session.list(
      { items, nextCursor: null },
      [
        { title: "id", value: (organization) => organization.id, narrow: "keep" },
        { title: "name", value: (organization) => organization.name, narrow: "cut" },
        { title: "slug", value: (organization) => organization.slug, narrow: "drop" },
      ],
      "There are no organizations.",
    );
  });
};
