import { z } from "zod";

/** `limit` and `cursor` of a list whose cursor is the id of its last item. */
export const pageQuery = z.object({
  limit: z.coerce.number().int().min(1).max(100).default(50),
  cursor: z.uuid().optional(),
});

const noPage = z
  .undefined({ error: "is not taken here: the answer holds the whole list, and has no pages" })
  .optional();

/** Of a list without pages: an answer that ignored `limit` or `cursor` would be taken for a page. */
export const noPages = { limit: noPage, cursor: noPage };

/** A page and the cursor of the next one, from a list that holds one item more than `limit` when there is a next. */
export function pageOf<Item extends { readonly id: string }>(items: readonly Item[], limit: number) {
  const page = items.slice(0, limit);
  return { page, nextCursor: items.length > limit ? (page.at(-1)?.id ?? null) : null };
}
