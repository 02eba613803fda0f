import type { LogEntry, SazabiAdmin } from "@sazabi/sdk";
import type { entryPrinter } from "../output/log-lines.ts";
import { safeJson } from "../output/visible.ts";
import type { Session } from "../session.ts";

type Printer = ReturnType<typeof entryPrinter>;

/**
 * Prints hits in ascending order of time, each with `lines` entries of its project before and after it. Every entry is
 * printed once. In text, `>` marks a hit and `--` a gap; in JSON, each entry has a member `match`.
 */
export async function printWithContext(
  session: Session,
  admin: SazabiAdmin,
  hits: readonly LogEntry[],
  lines: number,
  printer: Printer,
): Promise<void> {
  const { out } = await session.palettes();
  const refOf = ({ projectId, id }: LogEntry) => `${projectId} ${id}`;
  const matches = new Set(hits.map(refOf));
  const printed = new Set<string>();
  for (const hit of hits) {
    const { signal } = session.context;
    const { before, after, truncated } = await admin.logs.get(hit.id, {
      projectId: hit.projectId,
      before: lines,
      after: lines,
      signal,
    });
    const around = [...before, hit, ...after];
    if (truncated) session.say(`Around entry ${hit.id} fewer than ${lines} are shown on a side: they are large.`);
    const meets = around.some((entry) => printed.has(refOf(entry)));
    if (session.format === "text" && printed.size > 0 && !meets) session.out(out.dim("--"));
    for (const entry of around) {
      if (printed.has(refOf(entry))) continue;
      printed.add(refOf(entry));
      print(entry, matches.has(refOf(entry)));
    }
    await session.drained();
  }

  function print(entry: LogEntry, match: boolean): void {
    if (session.format === "text") {
      const text = printer.print(entry).trimEnd();
      for (const [i, line] of text.split("\n").entries())
        session.out(`${match && i === 0 ? "> " : "  "}${match ? line : out.dim(line)}`);
    } else session.out(safeJson({ match, ...entry }));
  }
}
