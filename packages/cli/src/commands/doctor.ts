import { accessSync, constants, existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { SazabiConnectionError } from "@sazabi/sdk";
import { explain, sentence } from "../error-message.ts";
import { CliError } from "../errors.ts";
import { systemMessage } from "../os-error-text.ts";
import { maskKeys } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import type { Credential, Session } from "../session.ts";
import { settingsPath } from "../settings.ts";
import { version } from "../version.ts";
import type { AddCommands } from "./command.ts";
import { addExamples } from "./examples.ts";

interface Check {
  readonly name: string;
  readonly ok: boolean;
  readonly message: string;
}

export const addDoctor: AddCommands = (doctor, { open }) => {
  addExamples(doctor, "sazabi doctor").action(async () => diagnose(open()));
};

/**
 * Runs every check, even after failures. The keychain is accessed once, because it can take until its timeout to fail.
 */
async function diagnose(session: Session): Promise<void> {
  const finding = session.requireCredential();
  finding.catch(() => {});
  const checks = withoutRepetition([
    await check(session, "version", () => `sazabi ${version}, Node ${process.version}`),
    await check(session, "settings", () => checkSettings(session)),
    await check(session, "key", async () => checkKey(session, await finding)),
    await check(session, "address", () => checkAddress(session)),
    await check(session, "service", () => checkService(session, finding)),
  ]);
  const failed = checks.filter(({ ok }) => !ok);
  await session.result({ ok: failed.length === 0, checks }, () => {
    for (const { name, ok, message } of checks)
      session.out(`${ok ? "ok  " : "FAIL"}  ${name.padEnd(9)} ${visible(message)}`);
  });
  if (failed.length > 0) {
    throw new CliError(`${failed.length} of ${checks.length} checks failed.`, { code: "UNHEALTHY" });
  }
}

/** Describes an error once if it fails several checks. */
function withoutRepetition(checks: readonly Check[]): readonly Check[] {
  return checks.map((check, place) => {
    const first = checks.slice(0, place).find(({ ok, message }) => !ok && message === check.message);
    return first ? { ...check, message: `For the same reason as ${first.name}.` } : check;
  });
}

async function check(session: Session, name: string, find: () => string | Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, message: await find() };
  } catch (error) {
    const { message, hint } = explain(error, session);
    return { name, ok: false, message: maskKeys([sentence(message), hint].filter(Boolean).join(" ")) };
  }
}

function checkSettings(session: Session): string {
  const { configDirectory } = session.context;
  const path = settingsPath(configDirectory);
  const { profileName, profile } = session;
  if (!existsSync(path)) {
    const obstacle = whyNotWritable(configDirectory);
    return obstacle ? `none, and none can be kept in ${configDirectory} (${obstacle})` : `none yet (${path})`;
  }
  const { mode } = statSync(path);
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    throw new CliError(`Others can read ${path}.`, { hint: `chmod 600 ${path}` });
  }
  return `${path}, profile ${profileName.value}${profile.login ? `, logged in at ${profile.login.apiUrl}` : ""}`;
}

/** Tests the innermost existing directory, because doctor changes nothing. */
function whyNotWritable(directory: string): string | undefined {
  if (!existsSync(directory) && dirname(directory) !== directory) return whyNotWritable(dirname(directory));
  try {
    if (!statSync(directory).isDirectory()) return `${directory} is no folder`;
    accessSync(directory, constants.W_OK);
    return undefined;
  } catch (cause) {
    return systemMessage(cause);
  }
}

async function checkKey(session: Session, { masked, source, store }: Credential): Promise<string> {
  const location = store && (await session.context.openStore(store)).description;
  return `${masked} from ${source}${location ? `, kept in ${location}` : ""}`;
}

/** A larger difference shifts relative times such as `--since 5m` noticeably. */
const clocksApartMs = 60_000;

/** Checks without a key that the service responds and that its clock agrees with the local one. */
async function checkAddress(session: Session): Promise<string> {
  const { value: address, source } = session.apiUrl;
  const fetch = await session.openFetch();
  const signal = AbortSignal.any([session.context.signal, AbortSignal.timeout((session.flags.timeout ?? 30) * 1000)]);
  const init = { method: "GET", headers: { accept: "application/json" }, signal, redirect: "manual" } as const;
  const answer = await fetch(`${address}/healthz`, init).catch((cause) => {
    if (session.context.signal.aborted) throw session.context.signal.reason;
    throw new SazabiConnectionError(`Could not reach ${address}.`, { address, cause });
  });
  await answer.text();
  if (answer.status !== 200) {
    throw new CliError(`${address}/healthz answers with status ${answer.status}, unlike a Sazabi service.`, {
      hint: `Check the address, which comes from ${source}.`,
    });
  }
  const apartMs = session.context.now().getTime() - Date.parse(answer.headers.get("date") ?? "");
  if (Math.abs(apartMs) <= clocksApartMs || Number.isNaN(apartMs)) return `${address} (${source}) answers`;
  const seconds = Math.round(Math.abs(apartMs) / 1000);
  throw new CliError(`The clock here is ${seconds} s ${apartMs > 0 ? "ahead of" : "behind"} that of ${address}.`, {
    hint: "Correct the clock: --since and other relative times depend on it.",
  });
}

async function checkService(session: Session, finding: Promise<Credential>): Promise<string> {
  const credential = await finding.catch(() => undefined);
  if (!credential) throw new CliError("Skipped: no key configured.");
  const me = await (await session.openAdmin(credential)).me({ signal: session.context.signal });
  return `${session.apiUrl.value} accepts the key: organization ${me.organization.name}`;
}
