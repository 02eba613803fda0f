import { levels } from "@sazabi/sdk/protocol";
import type { StoredLog } from "./log-store.ts";

/** A row of `logs` as its database gives it; each has its own way with attributes. */
export interface LogRow<Attributes> {
  readonly project_number: number;
  readonly micros: string;
  readonly id: string;
  readonly level: number;
  readonly service: string;
  readonly environment: string | null;
  readonly trace_id: string | null;
  readonly span_id: string | null;
  readonly message: string;
  readonly attributes: Attributes;
}

export function storedLog(row: LogRow<unknown>, attributes: StoredLog["attributes"]): StoredLog {
  return {
    position: { micros: Number(row.micros), projectNumber: row.project_number, id: row.id },
    level: levels[row.level] ?? "info",
    service: row.service,
    environment: row.environment,
    traceId: row.trace_id,
    spanId: row.span_id,
    message: row.message,
    attributes,
  };
}
