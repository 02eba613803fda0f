/**
 * As much of PowerShell's grammar as the completion script and its results need, by the language's own rules: there is
 * no PowerShell where these tests run.
 */

/** What PowerShell takes as a single quote, and as a double one. */
const singleQuotes = "'\u2018\u2019\u201a\u201b";
const doubleQuotes = '"\u201c\u201d\u201e';

/**
 * The one literal argument that this text is, in a command; undefined when it is none: when it ends early, expands
 * something, or is several arguments.
 */
export function literalArgument(text: string): string | undefined {
  const [first = ""] = text;
  if (singleQuotes.includes(first) && first !== "") return verbatim(text);
  // Each of these would end the word, expand something, or make a list of it.
  if (text === "" || /[\s{}()|&;<>,`$"'\u2018-\u201e@#]/u.test(text)) return undefined;
  return text;
}

function verbatim(text: string): string | undefined {
  let value = "";
  for (let i = 1; i < text.length; i++) {
    const character = text[i] as string;
    if (!singleQuotes.includes(character)) value += character;
    else if (singleQuotes.includes(text[i + 1] ?? " ")) value += text[i++];
    else return i === text.length - 1 ? value : undefined;
  }
  return undefined;
}

/** Reads a script as far as strings, comments and brackets go. Throws where one of them is not closed, or not opened. */
export function checkNesting(script: string): void {
  const open: string[] = [];
  const closes: Readonly<Record<string, string>> = { "}": "{", ")": "(", "]": "[" };
  for (let i = 0; i < script.length; i++) {
    const character = script[i] as string;
    if (character === "`") i++;
    else if (character === "#") i = endOf(script, i, "\n");
    else if (singleQuotes.includes(character)) i = endOfString(script, i, singleQuotes, false);
    else if (doubleQuotes.includes(character)) i = endOfString(script, i, doubleQuotes, true);
    else if ("{([".includes(character)) open.push(character);
    else if (character in closes && open.pop() !== closes[character])
      throw new Error(`${character} at ${i} closes nothing.`);
  }
  if (open.length > 0) throw new Error(`${open.join(" ")} is not closed.`);
}

function endOf(script: string, from: number, end: string): number {
  const found = script.indexOf(end, from);
  return found < 0 ? script.length : found;
}

function endOfString(script: string, from: number, quotes: string, escapes: boolean): number {
  for (let i = from + 1; i < script.length; i++) {
    const character = script[i] as string;
    if (escapes && character === "`") i++;
    else if (!quotes.includes(character)) continue;
    else if (quotes.includes(script[i + 1] ?? " ")) i++;
    else return i;
  }
  throw new Error(`The string at ${from} does not end.`);
}
