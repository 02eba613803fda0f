import type { Members } from "./entry-names.ts";

/**
 * The members of an entry of `journalctl -o json`, with its lists of bytes as text: the journal writes a field so when it
 * holds a control character. The members of other entries are returned as they are.
 */
export function withJournalTexts(members: Members): Members {
  const isJournal = "__CURSOR" in members || "__REALTIME_TIMESTAMP" in members;
  if (!isJournal && !Array.isArray(members["MESSAGE"])) return members;
  const texts: Record<string, unknown> = Object.create(null);
  for (const name in members) {
    const isField = isJournal ? journalName.test(name) : name === "MESSAGE";
    texts[name] = isField ? textOfBytes(members[name]) : members[name];
  }
  return texts;
}

const journalName = /^[A-Z_][A-Z0-9_]*$/;

function textOfBytes(value: unknown): unknown {
  if (!Array.isArray(value) || value.length === 0 || !value.every(isByte)) return value;
  return Buffer.from(value as number[]).toString("utf8");
}

function isByte(value: unknown): boolean {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= 255;
}
