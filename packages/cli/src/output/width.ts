/** Cells that a terminal gives to `text`, which must be visible text (see visible.ts). */
export function widthOf(text: string): number {
  if (isAscii(text)) return text.length;
  let width = 0;
  for (const cluster of clustersOf(text)) width += cells(cluster);
  return width;
}

/** `text` cut to at most `width` cells, the last of them `…` when something was cut. */
export function fit(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const cluster of clustersOf(text)) {
    const next = cells(cluster);
    if (used + next > width - 1) break;
    kept += cluster;
    used += next;
  }
  return `${kept}…`;
}

export function pad(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - widthOf(text)));
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7e) return false;
  return true;
}

let segmenter: Intl.Segmenter | undefined;

/** What is shown as one character: a letter with its marks, a flag, a family. */
function* clustersOf(text: string): Generator<string> {
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  for (const { segment } of segmenter.segment(text)) yield segment;
}

/** Signs that are drawn as one picture, whatever they are made of. */
const picture =
  /^(?:\p{Regional_Indicator}{2}|[\d#*]\ufe0f?\u20e3|\p{Extended_Pictographic}.*(?:\ufe0f|\u200d|\p{Emoji_Modifier}))/su;

function cells(cluster: string): number {
  if (picture.test(cluster)) return 2;
  let width = 0;
  for (const character of cluster) width += cellsOfOne(character);
  return width;
}

/** Marks that take room of their own, such as vowels of Hindi, are not among them; vowels that join a Hangul letter are. */
const zeroWidth = /^(?:\p{Mn}|\p{Me}|\u200c|\u200d|[\u1160-\u11ff])$/u;
const wide =
  /^[\p{Emoji_Presentation}\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]$/u;

function cellsOfOne(character: string): number {
  if (zeroWidth.test(character)) return 0;
  return wide.test(character) ? 2 : 1;
}
