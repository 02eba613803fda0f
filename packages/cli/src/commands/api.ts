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
      "a string to send: in the query of GET and HEAD, otherwise in a JSON body",
      mayRepeat((text: string) => fields.push({ text, typed: false })),
    )
    .option(
      "-F, --field <name=value>",
      "the same; true, false, null and numbers become JSON values, @file its content",
      mayRepeat((text: string) => fields.push({ text, typed: true })),
    )
    .option("--input <file>", "send this file as the body; - is stdin. Fields then go to the query")
    .option("-H, --header <name: value>", "send this header, too", collectTexts)
    .option("-i, --include", "print status and headers before the body")
    .option("--paginate", "GET only: print every page, following nextCursor")
    .addHelpText(
      "after",
      `
Sends a request with your key and prints the response body unchanged. The exit code is 0, or
the code of the error, as for any other command. The key only goes to the address in use
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
