import type { Output } from "../context.ts";

const frames = ["|", "/", "-", "\\"];
const firstShownAfterMs = 600;
const nextFrameAfterMs = 120;

/** Shows a spinner while `work` is pending. Uses ASCII characters and does not hide the cursor. */
export async function spinWhile<T>(terminal: Output, work: Promise<T>): Promise<T> {
  let shown = 0;
  const turn = () => {
    terminal.write(`\r${frames[shown++ % frames.length]} waiting…`);
    timer = setTimeout(turn, nextFrameAfterMs);
  };
  let timer = setTimeout(turn, firstShownAfterMs);
  try {
    return await work;
  } finally {
    clearTimeout(timer);
    if (shown > 0) terminal.write("\r\u001b[K");
  }
}
