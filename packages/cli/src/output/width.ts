import { eastAsianWidth } from "get-east-asian-width";

/** Returns the terminal width of `text` in cells. The text must be safe to print (see visible.ts). */
export function widthOf(text: string): number {
  if (isAscii(text)) return text.length;
  let width = 0;
  for (const cluster of clustersOf(text)) width += cells(cluster);
  return width;
}

/** Truncates `text` to `width` cells. The last is `…` if anything was cut. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let shown = "";
  let used = 0;
  for (const cluster of clustersOf(text)) {
    const next = cells(cluster);
    if (used + next > width - 1) break;
    shown += cluster;
    used += next;
  }
  return `${shown}…`;
}

export function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7e) return false;
  return true;
}

let segmenter: Intl.Segmenter | undefined;

/** Splits a text into grapheme clusters: a letter with its marks, a flag, a family. */
function* clustersOf(text: string): Generator<string> {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  for (const { segment } of segmenter.segment(text)) yield segment;
}

/** Emoji that are drawn as one picture, whatever their code points. */
const picture =
  /^(?:\p{Regional_Indicator}{2}|[\d#*]\ufe0f?\u20e3|\p{Extended_Pictographic}.*(?:\ufe0f|\u200d|\p{Emoji_Modifier}))/su;

function cells(cluster: string): number {
  if (picture.test(cluster)) return 2;
  let width = 0;
  for (const character of cluster) width += cellsOfOne(character);
  return width;
}

/**
 * Combining characters without width. Spacing marks, such as Hindi vowels, are not included; Hangul jamo that join a
 * letter are.
 */
const zeroWidth = /^(?:\p{Mn}|\p{Me}|\u200c|\u200d|[\u1160-\u11ff\u{e0020}-\u{e007f}])$/u;

function cellsOfOne(character: string): number {
  return zeroWidth.test(character) ? 0 : eastAsianWidth(character.codePointAt(0) as number);
}
