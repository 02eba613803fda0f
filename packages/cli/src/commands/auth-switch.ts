import { CliError, usageError } from "../errors.ts";
import { maskImported } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { type Profile, updateSettings } from "../settings.ts";

interface Choice {
  readonly name: string;
  readonly profile: Profile;
}

/** Sets the default profile, by its name or by its organization's name. */
export async function switchTo(session: Session, wanted: string | undefined): Promise<void> {
  const choices = Object.entries(session.settings.profiles ?? {})
    .map(([name, profile]) => ({ name, profile }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const { name, profile } = find(choices, wanted ?? (await ask(session, choices)));
  await updateSettings(session.context.configDirectory, (settings) => ({ ...settings, activeProfile: name }));
  const organization = profile.login?.organization.name ?? null;
  const key = profile.login?.masked ?? null;
  await session.result({ activeProfile: name, organization, key }, () =>
    session.out(`Profile ${inWords({ name, profile })} is now used by default.`),
  );
  if (!profile.login) session.remark(`It is not logged in: sazabi auth login --profile ${name}`);
  const stronger = ["SAZABI_PROFILE", "SAZABI_SECRET_KEY", "SAZABI_TOKEN"].filter((one) => session.context.env[one]);
  if (stronger.length > 0) session.remark(`In this shell ${stronger.join(" and ")} still takes precedence.`);
}

/** Prompts for a profile, by number or by name. */
async function ask(session: Session, choices: readonly Choice[]): Promise<string> {
  if (choices.length === 0) throw noneCalled(choices, undefined);
  if (!session.interactive) throw usageError("Switch to which profile?", listed(choices));
  const { value: active } = session.profileName;
  for (const [i, choice] of choices.entries()) {
    session.say(`${choice.name === active ? "*" : " "} ${i + 1}  ${inWords(choice)}`);
  }
  const prompt = await session.context.openPrompt();
  const typed = (await prompt.line("Number or name: ")).trim();
  if (typed === "") throw new CliError("Nothing was changed.", { code: "CANCELLED" });
  const isName = choices.some(({ name }) => name === typed);
  return (isName ? undefined : choices[Number(typed) - 1]?.name) ?? typed;
}

function find(choices: readonly Choice[], wanted: string): Choice {
  const byName = choices.find(({ name }) => name === wanted);
  if (byName) return byName;
  const ofOrganization = choices.filter(({ profile }) => {
    const { id, name } = profile.login?.organization ?? {};
    return wanted === id || wanted === name;
  });
  const [only] = ofOrganization;
  if (!only) throw noneCalled(choices, wanted);
  if (ofOrganization.length === 1) return only;
  throw new CliError(`Several profiles belong to ${visible(wanted)}.`, {
    code: "AMBIGUOUS",
    exit: "usage",
    hint: `Name one of them. ${listed(ofOrganization)}`,
  });
}

function noneCalled(choices: readonly Choice[], wanted: string | undefined): CliError {
  if (wanted !== undefined) maskImported(wanted);
  const what = wanted === undefined ? "no profile yet" : `no profile or organization ${visible(wanted)}`;
  const hint = choices.length > 0 ? listed(choices) : "`sazabi auth login --profile <name>` makes one.";
  return new CliError(`There is ${what}.`, { code: "NOT_FOUND", exit: "notFound", hint });
}

const listed = (choices: readonly Choice[]) => `There are: ${choices.map(inWords).join(", ")}.`;

function inWords({ name, profile: { login } }: Choice): string {
  return login ? `${name} (${visible(login.organization.name)}, ${login.masked})` : `${name} (not logged in)`;
}
