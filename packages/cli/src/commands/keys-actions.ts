import {
  type Created,
  type GrantedScope,
  type KeyFilter,
  type KeyKind,
  type KeyStyle,
  type Page,
  type PublicKey,
  parseDuration,
  type SazabiAdmin,
  SazabiApiError,
  type SecretKey,
  scopes,
} from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import { receiveSecret } from "../output/mask.ts";
import type { Column } from "../output/table.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { formatMinute, formatTime, formatZone, parseTime } from "../times.ts";
import {
  type AnyKey,
  endedAt,
  findAmong,
  inProject,
  type KeyLists,
  keysOf,
  type ProjectOption,
  withEveryProject,
} from "./key-resolver.ts";
import { readName } from "./name-argument.ts";
import { collect, type ListOptions } from "./paging.ts";
import { isId } from "./project-option.ts";
import { type FenceOptions, readFence } from "./restriction-options.ts";
import { sayWhenNameIsTaken } from "./same-name.ts";
import { orSayWhereToLook } from "./unknown-outcome.ts";

/** Requests per minute. */
type Limit = number | "default";

interface ExpiryOptions {
  readonly expires?: string;
  readonly expiresAt?: string;
  readonly clearExpiresAt?: boolean;
}

type KeyRow = AnyKey & { readonly type: KeyKind };

// --- create

export interface CreateOptions extends ProjectOption, ExpiryOptions, FenceOptions {
  readonly name?: string;
  readonly style?: KeyStyle;
  readonly scopes?: readonly string[];
  readonly limit?: Limit;
}

/** Creates a key. Prints only the key to stdout, so that `KEY=$(sazabi keys create --name ci)` works. */
export async function create(session: Session, kind: KeyKind, words: readonly string[], options: CreateOptions) {
  const request = {
    name: readName("key", words, options.name),
    ...(options.style ? { style: options.style } : {}),
    ...readExpiry(session, options),
    ...readLimit(options.limit),
    ...readFence(kind, options),
  };
  const granted = readScopes(kind, options.scopes);
  const admin = await session.admin();
  const making: Promise<Created<AnyKey>> =
    kind === "secret"
      ? createSecret(session, admin, { ...request, ...granted }, options)
      : createPublic(session, admin, request, options);
  const created = await orSayWhereToLook(session, making, "key", "sazabi keys list");
  receiveSecret(session.context, created.value, `It made the key ${visible(created.id)}: revoke it.`);
  await session.result(created, () => {
    const expiry = created.expiresAt ? `, expires ${formatMomentWithZone(created.expiresAt)}` : "";
    session.say(
      `Created ${kind} key "${visible(created.name)}" (${created.id}${expiry}). It is shown only once: store it now.`,
    );
    session.out(created.value);
  });
  await sayWhenNameIsTaken(session, admin, kind, { ...created, project: options.project });
}

async function createPublic(
  session: Session,
  admin: SazabiAdmin,
  request: Parameters<SazabiAdmin["publicKeys"]["create"]>[0],
  options: ProjectOption,
): Promise<Created<PublicKey>> {
  const inOne = await inProject(session, admin, options);
  return admin.publicKeys.create({ ...request, ...inOne }, { signal: session.context.signal });
}

/** Creates a secret key. Only `--project` restricts it; the default project does not. */
async function createSecret(
  session: Session,
  admin: SazabiAdmin,
  request: Parameters<SazabiAdmin["secretKeys"]["create"]>[0],
  { project }: ProjectOption,
): Promise<Created<SecretKey>> {
  const narrowed = project ? await inProject(session, admin, { project }) : {};
  return admin.secretKeys.create({ ...request, ...narrowed }, { signal: session.context.signal });
}

function readScopes(
  kind: KeyKind,
  granted: readonly string[] | undefined,
): { readonly scopes?: readonly GrantedScope[] } {
  if (granted === undefined) return {};
  if (kind === "public") throw usageError("A public key has no scopes: it can send logs and nothing else.");
  const unknown = granted.filter((scope) => scope !== "*" && !(scopes as readonly string[]).includes(scope));
  if (unknown.length > 0)
    throw usageError(`--scopes: there is no ${unknown.join(", ")}.`, `There are: ${scopes.join(", ")}, *.`);
  return { scopes: granted as readonly GrantedScope[] };
}

/** Formats the exact time with its zone, because a date means its first instant. */
function formatMomentWithZone(text: string): string {
  const time = new Date(text);
  return `${formatTime(time)} (${formatZone(time)})`;
}

function readLimit(limit: Limit | undefined): { readonly requestsPerMinute?: number | null } {
  return limit === undefined ? {} : { requestsPerMinute: limit === "default" ? null : limit };
}

interface Expiry {
  readonly expiresIn?: string;
  readonly expiresAt?: string;
}

/** Sends a duration as a duration, so that it is relative to the service's clock. */
function readExpiry(session: Session, options: ExpiryOptions): Expiry {
  const text = options.clearExpiresAt ? "never" : (options.expires ?? options.expiresAt)?.trim();
  if (text === undefined) return {};
  if (text === "never") return { expiresIn: text };
  const now = session.context.now();
  const time = parseTime("--expires", text, now, "from now");
  const duration = parseDuration(text);
  // The local clock may be wrong, so the service decides about a time that is only slightly in the past.
  if (duration === 0 || text === "now" || time.getTime() <= now.getTime() - clockToleranceMs) {
    throw usageError(`--expires: ${text} is not in the future.`);
  }
  return duration === undefined ? { expiresAt: time.toISOString() } : { expiresIn: text };
}

const clockToleranceMs = 86_400_000;

// --- list, get

export interface KeyListOptions extends ListOptions, ProjectOption {
  readonly unusedFor?: string;
  readonly revoked?: boolean;
}

export async function list(session: Session, kinds: readonly KeyKind[], options: KeyListOptions) {
  const { unusedFor, revoked = false } = options;
  if (revoked && unusedFor !== undefined) throw usageError("--revoked and --unused-for exclude each other.");
  const filter = {
    revoked,
    ...(unusedFor === undefined ? {} : { unusedForDays: readDays("--unused-for", unusedFor) }),
  };
  const admin = await session.admin();
  const each = kinds.map((kind) => keysOf(session, admin, kind, options));
  const { items, ...rest } = await withEveryProject(session, admin, each, (lists) => readLists(lists, options, filter));
  sayWhichProject(session, kinds, options);
  const none = unusedFor === undefined ? "There are no keys." : `No key is unused for ${unusedFor} or longer.`;
  await session.list({ items, nextCursor: null, ...rest }, keyColumns(session, kinds, items), none);
  if (rest.more) session.say(`${items.length} shown, there are more: --all shows them.`);
}

/** Lists up to the limit. For several lists, `more` says whether further items exist; for one list, the cursor does. */
async function readLists(
  lists: readonly KeyLists[],
  options: KeyListOptions,
  filter: KeyFilter,
): Promise<{ readonly items: readonly KeyRow[]; readonly nextCursor?: string | null; readonly more?: boolean }> {
  const rowsOf = ({ kind }: KeyLists, { items }: Page<AnyKey>) => items.map((key): KeyRow => ({ type: kind, ...key }));
  const [only] = lists;
  if (only && lists.length === 1) {
    const page = await collect(options, (page) => only.list({ ...page, ...filter }));
    return { items: rowsOf(only, page), nextCursor: page.nextCursor };
  }
  if (options.cursor !== undefined) {
    throw usageError(
      "--cursor goes on with one list, and these are several.",
      "Name one: --type secret, or a --project.",
    );
  }
  const items: KeyRow[] = [];
  for (const one of lists) {
    const limit = options.limit - items.length;
    if (limit <= 0 && !options.all) {
      // Fetches one item to find out whether there are more.
      if ((await one.list({ limit: 1, ...filter })).items.length > 0) return { items, more: true };
      continue;
    }
    const page = await collect({ ...options, limit }, (page) => one.list({ ...page, ...filter }));
    items.push(...rowsOf(one, page));
    if (page.nextCursor !== null) return { items, more: true };
  }
  return { items, more: false };
}

/** Tells the user that the default project restricts the list. */
function sayWhichProject(session: Session, kinds: readonly KeyKind[], { project }: ProjectOption): void {
  const named = kinds.includes("public") ? session.project(project) : undefined;
  if (!named || named.source === "--project") return;
  session.remark(`Public keys of project ${visible(named.value)} only (${named.source}).`);
}

/** Parses whole days: `90d`, `2w`. */
export function readDays(option: string, text: string): number {
  const days = (parseDuration(text) ?? Number.NaN) / 86_400_000;
  if (Number.isInteger(days) && days >= 1 && days <= 3650) return days;
  throw usageError(`Invalid ${option} ${JSON.stringify(text)}.`, "Use whole days, at most 3650d: 90d, 2w.");
}

function keyColumns(session: Session, kinds: readonly KeyKind[], rows: readonly KeyRow[]): readonly Column<KeyRow>[] {
  const hasProjects = new Set(rows.flatMap(({ type, projectId }) => (type === "public" ? [projectId] : []))).size > 1;
  const time = (text: string | null) => text && formatMinute(new Date(text));
  return [
    { title: "id", value: (key) => key.id, narrow: "keep" },
    ...(kinds.length > 1 ? [{ title: "type", value: (key: KeyRow) => key.type, narrow: "drop" } as const] : []),
    { title: "name", value: (key) => key.name, narrow: "cut" },
    { title: "key", value: (key) => key.masked, narrow: "drop" },
    ...(hasProjects ? [{ title: "project", value: (key: KeyRow) => key.projectId, narrow: "drop" } as const] : []),
    { title: "status", value: (key) => statusOf(session, key), narrow: "keep" },
    { title: "last used", value: (key) => time(key.lastUsedAt) ?? "never", narrow: "drop" },
    { title: "expires", value: (key) => time(key.expiresAt) ?? "never", narrow: "drop" },
    { title: "created", value: (key) => time(key.createdAt), narrow: "drop" },
  ];
}

function statusOf(session: Session, key: AnyKey): string {
  if (endedAt(key)) return "revokedAt" in key ? "revoked" : "deactivated";
  return isExpired(session, key) ? "expired" : "active";
}

function isExpired(session: Session, { expiresAt }: AnyKey): boolean {
  return expiresAt !== null && new Date(expiresAt) <= session.serviceNow;
}

export async function get(session: Session, kind: KeyKind, ref: string, options: ProjectOption) {
  const admin = await session.admin();
  const { key } = await findAmong(session, admin, [kind], ref, options);
  await printKey(session, key);
}

async function printKey(session: Session, key: AnyKey): Promise<void> {
  await session.result(key, () => {
    const row = (title: string, value: string) => session.out(`${`${title}:`.padEnd(12)}${visible(value)}`);
    const time = (text: string | null, none: string) => (text ? formatTime(new Date(text)) : none);
    row("Id", key.id);
    row("Name", key.name);
    row("Key", key.masked);
    row("Status", statusOf(session, key));
    if ("scopes" in key) row("May do", key.scopes.includes("*") ? "everything" : key.scopes.join(", "));
    row("Project", key.projectId ?? "all");
    row("Created", time(key.createdAt, "-"));
    row("Expires", key.expiresAt ? formatMomentWithZone(key.expiresAt) : "never");
    row("Last used", time(key.lastUsedAt, "never"));
    if (key.allowedAddresses.length > 0) row("Only from", key.allowedAddresses.join(", "));
    if ("allowedOrigins" in key && key.allowedOrigins.length > 0) row("Only on", key.allowedOrigins.join(", "));
    if (key.requestsPerMinute) row("Limit", `${key.requestsPerMinute} requests a minute`);
    if (key.rotation)
      row(
        "Rotation",
        `${visible(key.rotation.previousMasked)} works until ${time(key.rotation.previousExpiresAt, "-")}`,
      );
  });
}

// --- update

export interface UpdateOptions extends ProjectOption, ExpiryOptions, FenceOptions {
  readonly name?: string;
  readonly scopes?: readonly string[];
  readonly limit?: Limit;
  readonly force?: boolean;
}

export async function update(session: Session, kind: KeyKind, ref: string, options: UpdateOptions) {
  const change = {
    ...(options.name === undefined ? {} : { name: options.name }),
    ...readExpiry(session, options),
    ...readScopes(kind, options.scopes),
    ...readLimit(options.limit),
    ...readFence(kind, options),
  };
  if (Object.keys(change).length === 0) {
    const ofKind = kind === "secret" ? "--scopes" : "--allow-origin";
    throw usageError("Nothing to change.", `Use --name, --expires, --limit, --allow-address or ${ofKind}.`);
  }
  const admin = await session.admin();
  const found = isId(ref) ? undefined : await findAmong(session, admin, [kind], ref, options);
  const { keys, id } = found
    ? { keys: found.keys, id: found.key.id }
    : { keys: keysOf(session, admin, kind, options), id: ref };
  const before = found?.key ?? (expiryOf(change) ? await ifReadable(keys.get(id)) : undefined);
  const after = await keys.update(id, change, { force: options.force ?? false });
  if (before?.expiresAt && isExpired(session, before) && !isExpired(session, after)) {
    session.say(`It had expired at ${formatMomentWithZone(before.expiresAt)}, and works again.`);
  }
  await printKey(session, after);
}

const expiryOf = ({ expiresIn, expiresAt }: Expiry) => expiresIn ?? expiresAt;

/** Returns undefined if the key in use may change keys but not read them. */
async function ifReadable<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof SazabiApiError && error.status === 403) return undefined;
    throw error;
  }
}

// --- revoke

export interface RevokeOptions extends ProjectOption {
  readonly yes?: boolean;
  readonly force?: boolean;
  readonly reason?: string;
}

export async function revoke(session: Session, kinds: readonly KeyKind[], ref: string, options: RevokeOptions) {
  const admin = await session.admin();
  const { keys, key } = await findAmong(session, admin, kinds, ref, options);
  if (endedAt(key)) session.say(`It has been ${statusOf(session, key)} since ${endedAt(key)}.`);
  await confirmRevocation(session, key, options);
  const { kind } = keys;
  if (kind === "public" && options.reason) session.say("The service stores no reason for public keys.");
  await keys.revoke(key.id, { force: options.force, reason: options.reason });
  await session.result({ id: key.id, revoked: true }, () =>
    session.out(`Revoked ${kind} key "${visible(key.name)}" ${visible(key.masked)} (${key.id}).`),
  );
}

async function confirmRevocation(session: Session, key: AnyKey, { yes }: RevokeOptions): Promise<void> {
  if (!session.asksForLeave(yes)) return;
  const prompt = await session.context.openPrompt();
  const sure = await prompt.confirm(
    `Revoke "${visible(key.name)}" ${visible(key.masked)}? Clients that use it stop working at once.`,
  );
  if (!sure) throw new CliError("Nothing was revoked.", { code: "CANCELLED" });
}
