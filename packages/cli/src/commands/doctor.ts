import { statSync } from "node:fs";
import { CliError } from "../errors.ts";
import { explain } from "../explain.ts";
import { maskKeys } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { settingsPath } from "../settings.ts";
import { version } from "../version.ts";
import { addExamples } from "./examples.ts";
import type { AddCommands } from "./groups.ts";

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

export const addDoctor: AddCommands = (doctor, { open }) => {
  addExamples(doctor, "sazabi doctor").action(async () => diagnose(open()));
};

/** Every check runs, whatever the ones before it found. */
async function diagnose(session: Session): Promise<void> {
  const checks = [
    await check(session, "version", () => `sazabi ${version}, Node ${process.version}`),
    await check(session, "settings", () => checkSettings(session)),
    await check(session, "key", () => checkKey(session)),
    await check(session, "service", () => checkService(session)),
  ];
  const failed = checks.filter(({ ok }) => !ok);
  await session.result({ ok: failed.length === 0, checks }, () => {
    for (const { name, ok, message } of checks)
      session.out(`${ok ? "ok  " : "FAIL"}  ${name.padEnd(9)} ${visible(message)}`);
  });
  if (failed.length > 0) {
    throw new CliError(`${failed.length} of ${checks.length} checks failed.`, { code: "UNHEALTHY" });
  }
}

async function check(session: Session, name: string, find: () => string | Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, message: await find() };
  } catch (error) {
    const { message, hint } = explain(error, session);
    return { name, ok: false, message: maskKeys(hint ? `${message} ${hint}` : message) };
  }
}

function checkSettings(session: Session): string {
  const path = settingsPath(session.context.configDirectory);
  const { profileName, profile } = session;
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) return `none yet (${path})`;
  if (process.platform !== "win32" && (found.mode & 0o077) !== 0) {
    throw new CliError(`Others can read ${path}.`, { hint: `chmod 600 ${path}` });
  }
  return `${path}, profile ${profileName.value}${profile.login ? `, logged in at ${profile.login.apiUrl}` : ""}`;
}

async function checkKey(session: Session): Promise<string> {
  const { masked, source, store } = await session.requireCredential();
  const kept = store && (await session.context.openStore(store)).description;
  return `${masked} from ${source}${kept ? `, kept in ${kept}` : ""}`;
}

async function checkService(session: Session): Promise<string> {
  const me = await (await session.admin()).me({ signal: session.context.signal });
  return `${session.apiUrl.value} accepts the key: organization ${me.organization.name}`;
}
