/** A line, or several that form one entry. Plain data, so it can be stored. */
export interface LogRecord {
  readonly text: string;
  /** The number of its first line. */
  readonly number: number;
  /** Members from the wrapping of a container runtime. */
  readonly members?: Readonly<Record<string, string>>;
}

/** Longer records are split, like lines. */
export const maxRecordLines = 1_000;
export const maxRecordChars = 200_000;
