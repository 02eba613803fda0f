import type { Thread } from "@sazabi/sdk";
import { formatTime } from "../times.ts";
import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";
import { addOutputOptions } from "./output-options.ts";
import { addListOptions, collect, type ListOptions } from "./paging.ts";
import { findProjectId } from "./project-option.ts";

interface ThreadOptions extends ListOptions {
  readonly project?: string;
  readonly status?: Thread["status"];
}

export const addThreads: AddCommands = (threads, { open }) => {
  const list = addListOptions(
    addExamples(
      threads.command("list").description("list the conversations about a project"),
      "sazabi threads list --project shop",
    ),
  );
  addOutputOptions(list, {
    fields: ["id", "title", "status", "updatedAt", "createdAt", "source", "projectId"],
  })
    .addOption(threads.createOption("--status <status>", "only these").choices(["regular", "archived"]))
    .option("--project <project>", "the project, by id or name")
    .action(async (options: ThreadOptions) => {
      const session = open();
      const admin = await session.admin();
      const projectId = await findProjectId(session, admin, options.project);
      const filter = {
        ...(projectId === undefined ? {} : { projectId }),
        ...(options.status === undefined ? {} : { status: options.status }),
      };
      const { signal } = session.context;
      await session.list(
        await collect(options, (page) => admin.threads.list({ ...page, ...filter }, { signal })),
        [
          { title: "id", value: (thread) => thread.id, narrow: "keep" },
          { title: "title", value: (thread) => thread.title, narrow: "cut" },
          { title: "status", value: (thread) => thread.status, narrow: "drop" },
          { title: "updated", value: (thread) => formatTime(new Date(thread.updatedAt)), narrow: "drop" },
        ],
        "There are no threads.",
      );
    });
};
