import { z } from "zod";

/** `limit` and `cursor` of a list whose cursor is the id of the last item. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.uuid().optional(),
});

const noPage = z
  .undefined({ error: "is not taken here: the answer holds the whole list, and has no pages" })
  .optional();

/** Rejects paging parameters on lists without pages: a response that ignored them would be mistaken for a page. */
export const noPages = { limit: noPage, cursor: noPage };

/** Returns a page and the cursor of the next one. `items` has one item more than `limit` when there is a next page. */
export function pageOf<Item extends { readonly id: string }>(items: readonly Item[], limit: number) {
  const page = items.slice(0, limit);
  return { page, nextCursor: items.length > limit ? (page.at(-1)?.id ?? null) : null };
}
