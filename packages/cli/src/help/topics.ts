import type { Help } from "commander";
import { usageError } from "../errors.ts";
import { mostSimilar } from "../similar.ts";
import type { Block } from "./block.ts";

interface Topic {
  readonly name: string;
  readonly description: string;
  readonly load: () => Promise<readonly Block[]>;
}

/** The help topics besides the commands. */
export const topics: readonly Topic[] = [
  {
    name: "environment",
    description: "the variables that are read",
    load: async () => (await import("./topic-texts.ts")).environmentText,
  },
  {
    name: "exit-codes",
    description: "what the exit codes of commands mean",
    load: async () => (await import("./topic-texts.ts")).exitCodesText,
  },
  {
    name: "output",
    description: "tables, JSON, CSV, colour and the pager",
    load: async () => (await import("./topic-texts.ts")).outputText,
  },
  {
    name: "query-language",
    description: "what logs query, tail and volume look for",
    load: async () => (await import("./topic-texts.ts")).queryLanguageText,
  },
];

/** Returns the list of topics for the end of the help. */
export function listTopics(help: Help): string {
  const width = Math.max(...topics.map(({ name }) => name.length));
  const lines = topics.map(({ name, description }) => help.formatItem(name, width, description, help));
  return ["Topics of sazabi help:", ...lines].join("\n");
}

/** Returns the topic's page, at most `help`'s width wide. Returns undefined if there is no such topic. */
export async function topicPage(word: string, help: Help): Promise<string | undefined> {
  const blocks = await topics.find(({ name }) => name === word)?.load();
  return blocks && `${blocks.map((block) => layOut(block, help)).join("\n\n")}\n`;
}

/** Throws if a word is probably a misspelt topic. */
export function refuseMisspeltTopic(word: string, commands: readonly string[]): void {
  const meant = mostSimilar(word, [...commands, ...topics.map(({ name }) => name)]);
  if (!topics.some(({ name }) => name === meant)) return;
  throw usageError(`There is no help on '${word}'.`, `Did you mean ${meant}?`);
}

/** The minimum width of an explanation, in columns. */
const narrowestExplanation = 40;

function layOut(block: Block, help: Help): string {
  const width = help.helpWidth ?? 80;
  if (typeof block === "string") return help.boxWrap(block, width);
  const longest = Math.max(...block.map(([term]) => term.length));
  return block
    .map(([term, explanation]) => {
      // Longer terms have their explanation on the next line.
      if (width - longest - 4 >= narrowestExplanation) return help.formatItem(term, longest, explanation, help);
      return `  ${term}\n${indented(help.boxWrap(explanation, width - 6))}`;
    })
    .join("\n");
}

const indented = (text: string) => text.replace(/^/gm, "      ");
