import { CliError, usageError } from "../errors.ts";
import { hideInLogs } from "../output/mask.ts";
import type { Session } from "../session.ts";

/** Prints the current key for another program. On a terminal it asks for confirmation first. */
export async function token(session: Session, { yes }: { readonly yes?: boolean }): Promise<void> {
  const { value, masked, source } = await session.requireCredential();
  if (session.context.stdout.isTTY && !yes) await confirm(session, `${masked} (${source})`);
  hideInLogs(session.context, value);
  await session.result({ key: value, source }, () => session.out(value));
}

async function confirm(session: Session, key: string): Promise<void> {
  if (!session.interactive) {
    throw usageError("This would show the whole key on the screen.", "Pipe it to where it is needed, or use --yes.");
  }
  session.say("Anyone who sees or records this screen can use the key.");
  const prompt = await session.context.openPrompt();
  if (!(await prompt.confirm(`Show the whole key ${key}?`))) {
    throw new CliError("Nothing was shown.", { code: "CANCELLED" });
  }
}
