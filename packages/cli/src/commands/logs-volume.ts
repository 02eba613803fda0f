import { type LogVolume, type VolumeGroup, type VolumeInterval, volumeIntervals } from "@sazabi/sdk";
import { bar, barStyle } from "../output/bars.ts";
import { visible } from "../output/visible.ts";
import { pad, widthOf } from "../output/width.ts";
import type { Session } from "../session.ts";
import { formatIntervalStart } from "../times.ts";
import { findProjectId } from "./project-option.ts";
import { formatSearched, readWholeWindow } from "./whole-window.ts";
import type { WindowOptions } from "./window-options.ts";

export interface VolumeOptions extends WindowOptions {
  readonly interval?: VolumeInterval;
  readonly by?: VolumeGroup;
  readonly project?: string;
}

/** The number of entries of a group in an interval. */
interface Row {
  readonly bucket: string;
  readonly group: string;
  readonly count: number;
}

/** The most lines to print by default. */
const mostLines = 48;

/** Prints the number of entries over time as bars; with `by`, for each group. */
export async function volume(session: Session, query: string, options: VolumeOptions): Promise<void> {
  const window = readWholeWindow(session, options);
  const { start, end, isOpen } = window;
  const now = session.context.now().getTime();
  const admin = await session.admin();
  const projectId = await findProjectId(session, admin, options.project);
  const volumes = await admin.logs.volume(
    {
      projectId,
      startDate: start.toISOString(),
      endDate: end.toISOString(),
      interval: options.interval ?? intervalFor((isOpen ? now : end.getTime()) - start.getTime()),
      groupBy: options.by,
      ...(query.trim() === "" ? {} : { query }),
    },
    { signal: session.context.signal },
  );
  for (const { message } of volumes.meta.warnings) session.say(`warning: ${visible(message)}`);
  if (volumes.total > 0 && session.format === "text" && !session.flags.fields?.chosen) {
    await session.paged(async () => draw(session, isOpen ? endingAtLast(volumes, now) : volumes, options));
  } else {
    const { total, startDate, endDate, interval } = volumes;
    await session.rows(rowsOf(volumes), [], "Nothing matches.", (rows) => ({
      total,
      startDate,
      endDate,
      interval,
      rows,
    }));
  }
  session.remark(`${count(volumes.total)} in all, by ${volumes.interval}, from ${formatSearched(session, window)}.`);
}

/** Removes empty intervals after `now`. Only entries from clocks that run fast are there. */
function endingAtLast(volumes: LogVolume, now: number): LogVolume {
  const last = Math.max(
    now,
    ...volumes.series.flatMap(({ points }) => points.map(({ bucket }) => Date.parse(bucket) + 1)),
  );
  return { ...volumes, endDate: new Date(last).toISOString() };
}

/** Returns the shortest interval that needs at most `mostLines` lines. */
function intervalFor(windowMs: number): VolumeInterval {
  const names = Object.keys(volumeIntervals) as VolumeInterval[];
  return names.find((name) => windowMs / volumeIntervals[name] <= mostLines) ?? "1d";
}

function rowsOf({ series }: LogVolume): readonly Row[] {
  const rows = series.flatMap(({ group, points }) => points.map((point) => ({ ...point, group })));
  return rows.sort((a, b) => (a.bucket < b.bucket ? -1 : a.bucket > b.bucket ? 1 : 0));
}

function draw(session: Session, volumes: LogVolume, { by }: VolumeOptions): void {
  const lines = by
    ? volumes.series.map(({ group, total }) => ({ title: visible(group) || "(none)", count: total }))
    : everyInterval(volumes);
  const { env, stdout } = session.context;
  const style = barStyle(env);
  const titleWidth = Math.max(...lines.map(({ title }) => widthOf(title)));
  const countWidth = Math.max(...lines.map((line) => count(line.count).length));
  const most = Math.max(...lines.map((line) => line.count));
  const barWidth = Math.max(1, (stdout.columns ?? 80) - titleWidth - countWidth - 4);
  for (const { title, count: value } of lines) {
    const number = count(value).padStart(countWidth);
    session.out(`${pad(title, titleWidth)}  ${number}  ${bar(value / most, barWidth, style)}`.trimEnd());
  }
}

/** Yields every interval, including empty ones. */
function everyInterval({ startDate, endDate, interval, series }: LogVolume) {
  const counts = new Map(
    series.flatMap(({ points }) => points.map(({ bucket, count }) => [Date.parse(bucket), count])),
  );
  const step = volumeIntervals[interval];
  const lines: { readonly title: string; readonly count: number }[] = [];
  for (let at = Math.floor(Date.parse(startDate) / step) * step; at < Date.parse(endDate); at += step) {
    lines.push({ title: formatIntervalStart(new Date(at), interval), count: counts.get(at) ?? 0 });
  }
  return lines;
}

const count = (value: number) => value.toLocaleString("en");
