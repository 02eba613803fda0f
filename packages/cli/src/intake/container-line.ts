interface Unwrapped {
  readonly text: string;
  readonly time: string;
  readonly stream: Stream;
  /** The runtime split the line, and the next part follows. */
  readonly isPartial: boolean;
}

type Stream = "stdout" | "stderr";

/**
 * Unwraps a line of a container runtime: `2026-11-30T09:00:00.123456789Z stdout F text` of CRI,
 * `{"log":"text\n","stream":"stdout","time":"…"}` of Docker.
 */
export function unwrapped(line: string): Unwrapped | undefined {
  const cri = /^(\d{4}-\d\d-\d\dT\S{8,30}) (stdout|stderr) ([PF])(?::\S*)? /.exec(line);
  if (cri) {
    const [head, time = "", stream, flag] = cri;
    return { text: line.slice(head.length), time, stream: stream as Stream, isPartial: flag === "P" };
  }
  if (!line.startsWith('{"log":"')) return undefined;
  try {
    const { log, stream, time, ...others } = JSON.parse(line) as Readonly<Record<string, unknown>>;
    if (typeof log !== "string" || typeof time !== "string" || !isStream(stream)) return undefined;
    if (Object.keys(others).some((name) => name !== "attrs")) return undefined;
    return { text: log.replace(/\r?\n$/, ""), time, stream, isPartial: !log.endsWith("\n") };
  } catch {
    return undefined;
  }
}

const isStream = (value: unknown): value is Stream => value === "stdout" || value === "stderr";
