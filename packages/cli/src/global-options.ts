import type { Command } from "commander";
import { InvalidArgument } from "./invalid-argument.ts";
import type { GlobalFlags } from "./session.ts";

/** Adds the options that every command has to the program. */
export function addGlobalOptions(program: Command): void {
  program
    .option("--json", "print the result as JSON")
    .option("-q, --quiet", "print nothing but the result and errors")
    .option("--profile <name>", "use this profile, overriding environment variables")
    .option("--api-url <url>", "address of the API (default: SAZABI_API_URL, the profile's, http://127.0.0.1:4600)")
    .addOption(program.createOption("--api-base-url <url>", "the same").conflicts("apiUrl").hideHelp())
    .option("--key-stdin", "read the secret key from stdin, for this command")
    .option("--no-input", "disable prompts")
    .option("--no-pager", "do not page long output")
    .addOption(program.createOption("--color <when>", "colour the output").choices(["always", "never", "auto"]))
    .addOption(program.createOption("--no-color", "the same as --color never"))
    .option("--ca-file <file>", "also trust the CA certificates in this PEM file (default: SAZABI_CA_FILE)")
    .option("--timeout <seconds>", "give up on a request after this long (default: 30)", parseSeconds);
}

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0 && seconds <= 3600)) throw new InvalidArgument("Use a number of seconds, up to 3600.");
  return seconds;
}

/** Reads the global flags from the values of the global options and of the command's output options. */
export function readGlobalFlags(values: object, ofCommand: object = {}): GlobalFlags {
  const { apiBaseUrl, ...flags } = values as GlobalFlags & { readonly apiBaseUrl?: string };
  const { ndjson, csv, fields } = ofCommand as GlobalFlags;
  const apiUrl = flags.apiUrl ?? apiBaseUrl;
  return {
    ...flags,
    ...(apiUrl === undefined ? {} : { apiUrl }),
    ...(ndjson ? { ndjson } : {}),
    ...(csv ? { csv } : {}),
    ...(fields ? { fields } : {}),
  };
}
