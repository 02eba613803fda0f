import { SazabiAdmin, SazabiApiError } from "@sazabi/sdk";
import { accountOf } from "../credentials/store.ts";
import { askStore, type Session } from "../session.ts";
import { updateProfile } from "../settings.ts";

export interface NewSecret {
  readonly keyId: string;
  readonly value: string;
  readonly masked: string;
  readonly previousMasked: string | undefined;
}

/**
 * Stores the new secret in the profile in use if it holds this key. Otherwise the profile would be logged out at the
 * end of the grace period. Returns the profile's name if it was updated.
 */
export async function keepInProfile(session: Session, secret: NewSecret): Promise<string | undefined> {
  const { login } = session.profile;
  if (login?.apiUrl !== session.apiUrl.value) return undefined;
  if (login.masked !== secret.masked && login.masked !== secret.previousMasked) return undefined;
  const { value: name } = session.profileName;
  const account = accountOf(name, login.apiUrl);
  const store = await session.context.openStore(login.store, { patient: session.interactive });
  const stored = await askStore(() => store.get(account));
  if (stored === undefined || !(await isSecretOf(session, stored, secret))) return undefined;
  if (stored !== secret.value) await askStore(() => store.set(account, secret.value));
  await updateProfile(session.context.configDirectory, name, (profile) => ({
    ...profile,
    login: { ...login, masked: secret.masked },
  }));
  return name;
}

/** Asks the service, because many keys share a prefix and the last four characters. */
async function isSecretOf(session: Session, stored: string, { keyId, value }: NewSecret): Promise<boolean> {
  if (stored === value) return true;
  try {
    const admin = new SazabiAdmin({ secretKey: stored, clientSource: "cli", ...(await session.connection()) });
    return (await admin.me({ signal: session.context.signal })).key.id === keyId;
  } catch (error) {
    // Replacing a revoked secret loses nothing.
    if (error instanceof SazabiApiError && error.status === 401) return true;
    throw error;
  }
}
