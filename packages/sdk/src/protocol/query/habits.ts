import type { QueryWarning } from "../resources.ts";
import type { Token } from "./tokens.ts";

/**
 * Warnings for what other query languages write and this one takes as text, each with the right form: `k!=v`, `!k:v`, `||`,
 * `{a="b"}`, `not`, `k>=v`, `k=~v`; and `k=v`, where it is the whole query: pasted log lines are full of it.
 */
export function habitWarnings(text: string, tokens: readonly Token[]): readonly QueryWarning[] {
  return tokens.flatMap((token, place) => {
    if (token.kind !== "term") return [];
    const { start, end } = token;
    const word = text.slice(start, end);
    const message =
      ofWord(word) ??
      (tokens.length === 1 ? ofPair(word) : undefined) ??
      (isBesideCondition(text, tokens, place) ? ofKeyword(word) : undefined);
    return message === undefined ? [] : [{ message, start, end }];
  });
}

const value = `("[^"]*"?|[^\\s"=~]+)`;
const unequal = new RegExp(`^(@?[A-Za-z_][\\w.-]*)(?:!=|<>)${value}$`);
const comparison = new RegExp(`^(@?[A-Za-z_][\\w.-]*)(>=|<=|=~)${value}$`);
const pair = /^(@?[A-Za-z_][\w.-]*)={1,2}([^\s"=~]+)$/;
const bang = /^!(@?[A-Za-z_][\w.-]*:\S+)$/;
const selector = /^\{\s*([A-Za-z_]\w*)\s*(=|!=|=~|!~)\s*("[^"]*"?)/;

function ofWord(word: string): string | undefined {
  const [, name, other] = unequal.exec(word) ?? [];
  if (name) return `!= is no operator here; taken as text. Write -${name}:${other?.startsWith('"') ? '"…"' : other}.`;
  const [, compared, sign = "", bound = ""] = comparison.exec(word) ?? [];
  if (compared) {
    const right = sign === "=~" ? "/expression/" : `${sign}${bound}`;
    return `${sign} needs a colon before it; taken as text. Write ${compared}:${right}.`;
  }
  const [, condition] = bang.exec(word) ?? [];
  if (condition) return `! is no operator here; taken as text. Write -${condition}.`;
  if (word === "||") return "|| is no operator here; taken as text. Write OR.";
  if (word === "&&") return "&& is no operator here; taken as text. Write nothing, or AND.";
  if (/^(?:\|=|\|~|!=|!~|=~|==)$/.test(word))
    return `${word} is no operator here; taken as text. Write name:value, -name:value, a word or /expression/.`;
  const [, label, operator = "", text] = selector.exec(word) ?? [];
  if (label)
    return `This is no selector; taken as text. Write ${operator.startsWith("!") ? "-" : ""}${label}:${operator.endsWith("~") ? "/expression/" : text}.`;
  return undefined;
}

function ofPair(word: string): string | undefined {
  const [, name, other] = pair.exec(word) ?? [];
  return name ? `= is no operator here; taken as text. Write ${name}:${other}.` : undefined;
}

/** Lower-case keywords are words, unless they stand beside a condition. */
function ofKeyword(word: string): string | undefined {
  return /^(?:not|and|or)$/.test(word) ? `${word} is a word here. Write ${word.toUpperCase()} in capitals.` : undefined;
}

function isBesideCondition(text: string, tokens: readonly Token[], place: number): boolean {
  const isCondition = (token: Token | undefined) =>
    token?.kind === "term" && (token.deliberate || /^-?@?[A-Za-z_][\w.-]*:\S/.test(text.slice(token.start, token.end)));
  const word = text.slice(tokens[place]?.start, tokens[place]?.end);
  return isCondition(tokens[place + 1]) && (word === "not" || isCondition(tokens[place - 1]));
}
