import { type AuditEvent, type AuditFault, type AuditHead, auditActions } from "@sazabi/sdk";
import { CliError, usageError } from "../errors.ts";
import { looksLikeKey, maskImported } from "../output/mask.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";
import { mostSimilar } from "../similar.ts";
import { formatTime } from "../times.ts";
import { collect, type ListOptions } from "./paging.ts";
import { isId } from "./project-option.ts";
import { readWindow } from "./window.ts";
import type { WindowOptions } from "./window-options.ts";

export interface AuditListOptions extends ListOptions, WindowOptions {
  readonly action?: string;
  readonly actor?: string;
  readonly target?: string;
}

export async function list(session: Session, options: AuditListOptions): Promise<void> {
  const { action, actor, target } = options;
  const filter = {
    ...readWindow(session, options),
    ...(action === undefined ? {} : { action: checkAction(action) }),
    ...(actor === undefined ? {} : { actorId: checkId("--actor", actor) }),
    ...(target === undefined ? {} : { targetId: checkId("--target", target) }),
  };
  const isNarrowed = Object.keys(filter).length > 0;
  const admin = await session.admin();
  const { signal } = session.context;
  const page = await collect(options, (page) => admin.audit.list({ ...page, ...filter }, { signal }));
  await session.list(
    page,
    [
      { title: "no", value: (event: AuditEvent) => String(event.seq), narrow: "drop" },
      { title: "time", value: (event) => formatTime(new Date(event.at)), narrow: "keep" },
      { title: "action", value: (event) => event.action, narrow: "keep" },
      { title: "target", value: (event) => event.target.name, narrow: "cut" },
      { title: "by", value: (event) => event.actor.name, narrow: "drop" },
      { title: "from", value: (event) => event.address, narrow: "drop" },
      { title: "target id", value: (event) => event.target.id, narrow: "drop" },
    ],
    isNarrowed ? "Nothing on record matches." : "There is nothing on record.",
  );
}

function checkAction(text: string): string {
  const known: readonly string[] = auditActions;
  if (known.includes(text)) return text;
  if (looksLikeKey(text)) maskImported(text);
  const meant = mostSimilar(text, known);
  const withWord = known.filter((action) => action.split(".").includes(text));
  const listed = withWord.length > 0 ? withWord : known;
  throw usageError(
    `No action is called ${visible(text)}.`,
    meant ? `Did you mean ${meant}?` : `There are: ${listed.join(", ")}.`,
  );
}

function checkId(option: string, text: string): string {
  if (isId(text)) return text;
  maskImported(text);
  throw usageError(
    `${option} takes an id, and ${visible(text)} is not one.`,
    "`sazabi keys list` has the ids of keys.",
  );
}

export async function verify(session: Session, options: { readonly knownHead?: string }): Promise<void> {
  const known = options.knownHead === undefined ? undefined : readHead(options.knownHead);
  const admin = await session.admin();
  const result = await admin.audit.verify({ known, signal: session.context.signal });
  await session.result(result, () => {
    if (result.ok) session.out(`${result.events} events, chain intact, head ${result.head.seq}:${result.head.hash}`);
  });
  if (result.fault) {
    throw new CliError(`The record does not hold: ${inWords(result.fault)}`, {
      code: "CHAIN_BROKEN",
      hint: `Read ${result.events} events; the head is ${result.head.seq}:${result.head.hash}.`,
    });
  }
}

function readHead(text: string): AuditHead {
  const [, seq, hash] = /^(\d{1,15}):([0-9a-f]{64})$/.exec(text.trim()) ?? [];
  if (seq !== undefined && hash !== undefined) return { seq: Number(seq), hash };
  throw usageError("--known-head takes what `audit verify` prints: a number, a colon and 64 hexadecimal digits.");
}

function inWords({ seq, problem, event }: AuditFault): string {
  const which = event ? `event ${seq} (${visible(event.action)}, ${event.at})` : `event ${seq}`;
  switch (problem) {
    case "missing":
      return `${which} is missing.`;
    case "altered":
      return `${which} was altered: its hash is not that of its content.`;
    case "unlinked":
      return `${which} is not the one that was recorded: what links to it carries another hash.`;
  }
}
