import type { Page, PageRequest } from "@sazabi/sdk";
import type { Command } from "commander";
import { InvalidArgument } from "../invalid-argument.ts";

export interface ListOptions {
  readonly limit: number;
  readonly cursor?: string;
  readonly all?: boolean;
}

/** The limit of the service per request. */
const maxPage = 100;

export function addListOptions(command: Command): Command {
  return command
    .option("--limit <n>", "show at most this many", parseLimit, 50)
    .option("--all", "show all of them")
    .option("--cursor <cursor>", "continue from the cursor of a previous page");
}

export function parseLimit(text: string): number {
  const limit = Number(text);
  if (!Number.isInteger(limit) || limit < 1) throw new InvalidArgument("Use a whole number from 1.");
  return limit;
}

/** Fetches pages until `limit` items are collected, or all of them. */
export async function collect<T>(
  options: ListOptions,
  list: (page: PageRequest) => Promise<Page<T>>,
): Promise<Page<T>> {
  const limit = options.all ? Number.POSITIVE_INFINITY : options.limit;
  const items: T[] = [];
  let cursor = options.cursor;
  do {
    const page = await list({ limit: Math.min(maxPage, limit - items.length), ...(cursor ? { cursor } : {}) });
    items.push(...page.items);
    if (page.nextCursor === null) return { items, nextCursor: null };
    cursor = page.nextCursor;
  } while (items.length < limit);
  return { items, nextCursor: cursor };
}
