import { accountOf } from "../credentials/store.ts";
import { askStore, type Session } from "../session.ts";
import { updateProfile } from "../settings.ts";

/** Deletes the key from its store, then removes the login from the profile. */
export async function logout(session: Session): Promise<void> {
  const { value: profile } = session.profileName;
  const { login } = session.profile;
  if (login) {
    const store = await session.context.openStore(login.store);
    await askStore(() => store.delete(accountOf(profile, login.apiUrl)));
    await updateProfile(session.context.configDirectory, profile, ({ login: _, ...rest }) => rest);
  }
  await session.result({ profile, loggedOut: login !== undefined }, () => {
    session.out(login ? `Logged out of profile ${profile}.` : `Profile ${profile} was not logged in.`);
  });
  if (login) session.remark("The key is still valid. `sazabi keys revoke` ends a key.");
}
