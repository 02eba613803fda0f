/** A line, or several that are one entry. Plain data: it can be kept and read again. */
export interface LogRecord {
  readonly text: string;
  /** Of its first line. */
  readonly number: number;
  /** Members that the wrapping of a container runtime gives. */
  readonly members?: Readonly<Record<string, string>>;
}

/** Longer records are cut into several, as lines are. */
export const maxRecordLines = 1_000;
export const maxRecordChars = 200_000;
