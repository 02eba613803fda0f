import type { Me } from "@sazabi/sdk";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { formatTime } from "../times.ts";

/**
 * Prints the local configuration and the service's view of the key. The former is printed even if the request fails.
 */
export async function status(session: Session): Promise<void> {
  const credential = await session.requireCredential();
  const local = {
    profile: session.profileName.value,
    apiUrl: session.apiUrl.value,
    apiUrlSource: session.apiUrl.source,
    key: credential.masked,
    keySource: credential.source,
    store: credential.store ?? null,
    plaintext: credential.store === "file",
    projectId: session.project(undefined)?.value ?? null,
    projectSource: session.project(undefined)?.source ?? null,
  };
  const description = credential.store && (await session.context.openStore(credential.store)).description;
  const print = (me: Me | undefined) =>
    session.result({ ...local, ...remoteOf(me) }, () => {
      const row = (title: string, value: string) => session.out(`${`${title}:`.padEnd(14)}${visible(value)}`);
      row("Key", `${local.key}, from ${local.keySource}`);
      if (description) row("Kept in", description);
      row("Address", `${local.apiUrl} (${local.apiUrlSource})`);
      row("Profile", local.profile);
      row("Project", projectInWords(session, me));
      if (!me) return;
      row("Organization", me.organization.name);
      row("Key name", me.keyName);
      row("May do", me.key.scopes.includes("*") ? "everything" : me.key.scopes.join(", "));
      row("Expires", me.key.expiresAt ? formatTime(new Date(me.key.expiresAt)) : "never");
    });
  try {
    await print(await (await session.openAdmin(credential)).me({ signal: session.context.signal }));
  } catch (error) {
    await print(undefined);
    throw error;
  }
}

/** Returns a description of the project. A key restricted to one project always uses that project. */
function projectInWords(session: Session, me: Me | undefined): string {
  const narrowed = me?.key.projectId;
  if (narrowed) return `${narrowed} (the only one of this key)`;
  const named = session.project(undefined);
  return named ? `${named.value} (${named.source})` : "none chosen; `sazabi projects use` chooses one";
}

function remoteOf(me: Me | undefined) {
  if (!me) return { authenticated: false };
  const { organization, keyName, key } = me;
  return { authenticated: true, organization, keyName, scopes: key.scopes, expiresAt: key.expiresAt };
}

export async function whoami(session: Session): Promise<void> {
  const me = await (await session.admin()).me({ signal: session.context.signal });
  const { masked, source } = session.credential as NonNullable<typeof session.credential>;
  await session.result({ ...me, keySource: source }, () =>
    session.out(`${visible(me.organization.name)}, key "${visible(me.keyName)}" ${masked} (${source})`),
  );
}
