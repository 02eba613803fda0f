import { parseArgs } from "node:util";
import { readConfig } from "../config.ts";
import { onProgress } from "./command.ts";
import { makeAdminKey } from "./make-admin-key.ts";

const usage = "Usage: npm run admin:key -- [--organization <slug>]";

/** `npm run admin:key`: prints a new secret key with all permissions. Sets the exit code. */
export async function main(args: readonly string[]): Promise<void> {
  const organization = readOrganization(args);
  if (organization === "wrong") {
    process.exitCode = 2;
    return onProgress(usage);
  }
  // Ignores the signals until it ends, so that a server started for it is stopped.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  try {
    const { value, organization: slug } = await makeAdminKey({ ...readConfig(process.env), organization, onProgress });
    onProgress(`A new secret key for the organization ${slug}, with every right and no end. It is shown this once:`);
    process.stdout.write(`${value}\n`);
  } catch (error) {
    process.exitCode = 1;
    onProgress((error as Error).message);
  }
}

function readOrganization(args: readonly string[]): string | undefined | "wrong" {
  try {
    return parseArgs({ args: [...args], options: { organization: { type: "string" } } }).values.organization;
  } catch {
    // The message of the parser repeats the argument, which may be a key.
    return "wrong";
  }
}
