import type { GivenField } from "../api/fields.ts";
import type { AddCommands } from "./command.ts";
import { collectTexts, mayRepeat } from "./repeatable.ts";

export const addApi: AddCommands = (api, { open }) => {
  // Both options share one list, because the order decides the positions in a[]=1.
  const fields: GivenField[] = [];
  api
    .argument("<method>", "GET, POST, PUT, PATCH, DELETE, HEAD")
    .argument("<path>", "a path of the service, e.g. /v1/secret-keys; docs/api.md has them all")
    .option(
      "-f, --raw-field <name=value>",
      "a text to send: in the query of GET and HEAD, else in a JSON body",
      mayRepeat((text: string) => fields.push({ text, typed: false })),
    )
    .option(
      "-F, --field <name=value>",
      "the same; true, false, null and numbers are sent as such, @file as its text",
      mayRepeat((text: string) => fields.push({ text, typed: true })),
    )
    .option("--input <file>", "send this file as the body; - is stdin. Fields go to the query, then")
    .option("-H, --header <name: value>", "send this header, too", collectTexts)
    .option("-i, --include", "print status and headers before the body")
    .option("--paginate", "GET only: print page after page, as far as nextCursor leads")
    .addHelpText(
      "after",
      `
Sends a request with your key, and prints the body of the answer as it is. The exit code says
how it went: 0, or as for any other command. The key only goes to the address in use
(\`sazabi auth status\`); redirects are not followed and nothing is sent twice.

  sazabi api GET /v1/me
  sazabi api GET /v1/secret-keys -F limit=100 --paginate
  sazabi api POST /v1/logs/query -f 'search[query]=level:error' -F 'pagination[limit]=5'
  sazabi api PATCH /v1/projects/ID --input change.json`,
    )
    .action(async (method: string, path: string, options) =>
      (await import("./api-request.ts")).request(open(), method, path, { ...options, fields }),
    );
};
