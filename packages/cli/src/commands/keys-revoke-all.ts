import type { KeyKind, RevokeAllRequest } from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { inProject, orNameForceOption } from "./key-resolver.ts";
import { readDays } from "./keys-actions.ts";
import { isId } from "./project-option.ts";

export interface RevokeAllOptions {
  readonly kind?: KeyKind;
  readonly project?: string;
  readonly unusedFor?: string;
  readonly except?: readonly string[];
  readonly includeSelf?: boolean;
  readonly keepSelf?: boolean;
  readonly force?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

/** Revokes many keys at once. By default the key in use is kept, because otherwise nobody could create new ones. */
export async function revokeAll(session: Session, options: RevokeAllOptions): Promise<void> {
  const { kind, project, unusedFor, reason, force, includeSelf = false } = options;
  if (includeSelf && options.keepSelf) throw usageError("--keep-self and --include-self exclude each other.");
  const except = checkIds(options.except);
  const unused = unusedFor === undefined ? {} : { unusedForDays: readDays("--unused-for", unusedFor) };
  if (!options.yes && !session.interactive) {
    throw usageError(
      "This revokes many keys at once, and there is no terminal to ask for confirmation.",
      "Repeat it with --yes.",
    );
  }
  const admin = await session.admin();
  // Only `--project` restricts the command; the default project does not apply in an emergency.
  const narrowed = project === undefined ? {} : await inProject(session, admin, { project });
  const request: RevokeAllRequest = {
    ...(kind === undefined ? {} : { kind }),
    ...narrowed,
    ...unused,
    except: [...except, ...(includeSelf ? [] : (["caller"] as const))],
    ...(reason === undefined ? {} : { reason }),
  };
  const { organization } = await admin.me({ signal: session.context.signal });
  if (!options.yes) await confirm(session, organization.name, inWords(options, except.length));
  const answer = await orNameForceOption(admin.keys.revokeAll(request, { force, signal: session.context.signal }));
  await session.result(answer, () => {
    for (const { id, masked, name } of answer.revoked) session.out(`${id}  ${visible(masked)}  ${visible(name)}`);
    const unlisted = answer.revokedCount - answer.revoked.length;
    if (unlisted > 0) session.say(`… and ${unlisted} more. \`sazabi audit list\` shows all of them.`);
    if (answer.revokedCount === 0) return session.say("No key matches: nothing was revoked.");
    session.say(`Revoked ${answer.revokedCount} keys of ${visible(organization.name)}. They no longer work.`);
  });
}

function checkIds(ids: readonly string[] = []): readonly string[] {
  const wrong = ids.filter((id) => !isId(id));
  if (wrong.length > 0)
    throw usageError(`--except takes the ids of keys, and ${visible(wrong.join(", "))} is not one.`);
  return ids;
}

function inWords({ kind, project, unusedFor, includeSelf }: RevokeAllOptions, spared: number): string {
  return [
    `every ${kind === undefined ? "" : `${kind} `}key`,
    ...(project === undefined ? [] : [`of project ${visible(project)}`]),
    ...(unusedFor === undefined ? [] : [`unused for ${unusedFor}`]),
    ...(spared === 0 ? [] : [`but ${spared} that you named`]),
    includeSelf ? "INCLUDING the key in use" : "but the key in use",
  ].join(" ");
}

async function confirm(session: Session, organization: string, what: string): Promise<void> {
  session.say(`This revokes ${what}, immediately and permanently. Clients that use them stop working.`);
  const prompt = await session.context.openPrompt();
  const typed = await prompt.line(`Type the organization's name, ${visible(organization)}, to go on: `);
  if (typed.trim() !== organization.trim()) throw new CliError("Nothing was revoked.", { code: "CANCELLED" });
}
