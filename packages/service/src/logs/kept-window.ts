import type { LogScope } from "./log-store.ts";

/** The beginning of a window, without what is past the retention of its projects. In microseconds since 1970. */
export interface KeptWindow {
  /** The earliest beginning of all projects. */
  readonly fromMicros: number;
  /** The projects whose retention begins later than that. */
  readonly later: readonly { readonly projectNumber: number; readonly fromMicros: number }[];
}

export function keptWindow(scope: Pick<LogScope, "projectNumbers" | "fromMicros" | "keptFrom">): KeptWindow {
  const starts = scope.projectNumbers.map((projectNumber) => ({
    projectNumber,
    fromMicros: Math.max(scope.fromMicros, scope.keptFrom?.get(projectNumber) ?? 0),
  }));
  const fromMicros = starts.length === 0 ? scope.fromMicros : Math.min(...starts.map((start) => start.fromMicros));
  return { fromMicros, later: starts.filter((start) => start.fromMicros > fromMicros) };
}
