import { readFile } from "node:fs/promises";
import { type Me, mayBeImportedKey } from "@sazabi/sdk";
import { accountOf, type StoreName } from "../credentials/store.ts";
import { type CliError, usageError } from "../errors.ts";
import { systemMessage } from "../os-error-text.ts";
import { visible } from "../output/visible.ts";
import { askStore, type Credential, checkSecretKey, type Session, sourced } from "../session.ts";
import { type Login, setAsideBroken, updateProfile } from "../settings.ts";

export interface LoginOptions {
  readonly key?: string;
  readonly keyFile?: string;
  readonly store?: StoreName;
}

/** Verifies the key with the service, then stores it. A rejected key is not stored. */
export async function login(session: Session, options: LoginOptions): Promise<void> {
  session.ignoreBrokenSettings();
  const storeName = options.store ?? session.profile.login?.store ?? "keychain";
  await requireStore(session, storeName);
  const credential = checkSecretKey(await readKey(session, options));
  const me = await (await session.openAdmin(credential)).me({ signal: session.context.signal });
  const kept = await keep(session, credential, me, storeName);
  await reportLogin(session, kept, me);
}

/** Checks that the credential store works before it asks for the key. */
async function requireStore(session: Session, name: StoreName): Promise<void> {
  const store = await session.context.openStore(name);
  await askStore(async () => store.check?.());
}

async function readKey(session: Session, { key, keyFile }: LoginOptions): Promise<Credential> {
  if (key !== undefined && keyFile !== undefined) throw usageError("--key and --key-file exclude each other.");
  if (session.flags.keyStdin || key === "-") return credentialOf(await session.readKeyFromStdin("--key -"), "stdin");
  if (keyFile !== undefined) return credentialOf(await readKeyFile(keyFile), "--key-file");
  if (key !== undefined) {
    session.remark("A key given as an argument stays in your shell's history; --key - reads it from stdin instead.");
    return credentialOf(key, "--key");
  }
  if (!session.interactive) {
    throw usageError("There is no terminal to ask for the key.", "Pass it with --key - (stdin), --key-file or --key.");
  }
  const prompt = await session.context.openPrompt();
  return credentialOf(await prompt.secret("Secret key: "), "the prompt");
}

async function readKeyFile(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw usageError(`--key-file: cannot read ${path} (${systemMessage(cause)}).`);
  }
}

function credentialOf(text: string, source: string): Credential {
  const value = text.trim();
  if (value === "") throw usageError(`The key from ${source} is empty.`);
  return sourced(value, source);
}

async function keep(session: Session, credential: Credential, me: Me, storeName: StoreName): Promise<Login> {
  const { value: profile } = session.profileName;
  const { value: apiUrl } = session.apiUrl;
  const { id, name } = me.organization;
  const store = await session.context.openStore(storeName, { patient: session.interactive });
  const previous = session.profile.login;
  const waiting = setTimeout(() => session.remark("Waiting for your keyring to be unlocked…"), 1000);
  try {
    await askStore(() => store.set(accountOf(profile, apiUrl), credential.value));
  } finally {
    clearTimeout(waiting);
  }
  // Only the service knows the prefix of an imported key.
  const masked = mayBeImportedKey(credential.value) ? me.key.masked : credential.masked;
  const kept = { apiUrl, store: storeName, masked, organization: { id, name } };
  const aside = await setAsideBroken(session.context.configDirectory);
  if (aside) session.say(`The settings were invalid. They were renamed to ${aside}, and new ones were created.`);
  await updateProfile(session.context.configDirectory, profile, (known) => ({ ...known, apiUrl, login: kept }));
  if (previous) await forgetPrevious(session, previous, kept);
  return kept;
}

/** Deletes the previous key of the profile from its store. */
async function forgetPrevious(session: Session, previous: Login, kept: Login): Promise<void> {
  if (previous.store === kept.store && previous.apiUrl === kept.apiUrl) return;
  const store = await session.context.openStore(previous.store);
  try {
    await store.delete(accountOf(session.profileName.value, previous.apiUrl));
  } catch (error) {
    session.say(`The key stored before could not be removed from ${store.description}: ${(error as CliError).message}`);
  }
}

async function reportLogin(session: Session, kept: Login, me: Me): Promise<void> {
  const { value: profile } = session.profileName;
  const store = await session.context.openStore(kept.store);
  const answer = { profile, ...kept, plaintext: kept.store === "file", keyName: me.keyName };
  await session.result(answer, () => {
    session.out(`Logged in to ${visible(me.organization.name)} with ${kept.masked}, kept in ${store.description}.`);
  });
  const fromEnv = ["SAZABI_SECRET_KEY", "SAZABI_TOKEN"].find((name) => session.context.env[name]);
  if (fromEnv)
    session.remark(
      `${fromEnv} is set and takes precedence over the stored key; unset it, or use --profile ${profile}.`,
    );
}
