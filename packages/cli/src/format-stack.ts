import { readFileSync } from "node:fs";
import { SourceMap } from "node:module";

const frame = /\(?(?:file:\/\/)?(\/?[^()\s]*\.cjs):(\d+):(\d+)\)?/g;

/** Returns a stack trace with source positions instead of positions in the built files. */
export function readableStack(stack: string): string {
  return stack.replace(frame, (text, file: string, line: string, column: string) => {
    const origin = mapOf(file)?.findEntry(Number(line) - 1, Number(column) - 1);
    if (!origin || !("originalSource" in origin)) return text;
    return `(${origin.originalSource.replace(/^(\.\.\/)+/, "")}:${origin.originalLine + 1}:${origin.originalColumn + 1})`;
  });
}

function mapOf(file: string): SourceMap | undefined {
  try {
    return new SourceMap(JSON.parse(readFileSync(`${file}.map`, "utf8")));
  } catch {
    return undefined;
  }
}
