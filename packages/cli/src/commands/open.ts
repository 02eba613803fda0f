import type { AddCommands } from "./command.ts";

export const addOpen: AddCommands = (command, { open }) => {
  command
    .argument("[page]", "dashboard or docs", "dashboard")
    .addHelpText(
      "after",
      `
Without a browser (over SSH, in a container) the address is printed instead.
It never contains a key: you sign in on the page.

  sazabi open
  sazabi open docs`,
    )
    .action(async (page: string) => (await import("./open-page.ts")).openPage(open(), page));
};
