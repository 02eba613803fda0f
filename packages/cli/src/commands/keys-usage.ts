import type { KeyKind, KeyUsage, KeyUsagePoint, UsageInterval } from "@sazabi/sdk";
import type { Column } from "../output/table.ts";
import type { Session } from "../session.ts";
import { formatIntervalStart, formatSpan } from "../times.ts";
import { findAmong, type ProjectOption } from "./key-resolver.ts";
import { readWindow } from "./window.ts";
import type { WindowOptions } from "./window-options.ts";

export interface UsageOptions extends WindowOptions, ProjectOption {
  readonly interval?: UsageInterval;
}

/** Prints the uses of a key by interval, and by secret if there was more than one. */
export async function usage(session: Session, kinds: readonly KeyKind[], ref: string, options: UsageOptions) {
  const window = readWindow(session, options);
  const interval = options.interval === undefined ? {} : { interval: options.interval };
  const admin = await session.admin();
  const { key } = await findAmong(session, admin, kinds, ref, options);
  const report = await admin.keys.usage(key.id, { ...window, ...interval }, { signal: session.context.signal });
  await session.rows(report.points, columnsFor(report), "It was not used.", (points) => ({ ...report, points }));
  const total = (name: "accepted" | "refused") => report.points.reduce((sum, point) => sum + point[name], 0);
  const [from, to] = [new Date(report.from), new Date(report.to)];
  session.remark(
    `${total("accepted")} accepted, ${total("refused")} refused, by ${report.interval} from ${formatSpan(from, to)}.`,
  );
}

function columnsFor({ points, interval }: KeyUsage): readonly Column<KeyUsagePoint>[] {
  const severalSecrets = new Set(points.map(({ generation }) => generation)).size > 1;
  return [
    { title: "from", value: (point) => formatIntervalStart(new Date(point.start), interval), narrow: "keep" },
    ...(severalSecrets
      ? [{ title: "secret", value: (point: KeyUsagePoint) => `#${point.generation}`, narrow: "keep" } as const]
      : []),
    { title: "accepted", value: (point) => String(point.accepted), narrow: "keep" },
    { title: "refused", value: (point) => String(point.refused), narrow: "keep" },
  ];
}
