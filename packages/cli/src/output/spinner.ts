import type { Output } from "../context.ts";

const frames = ["|", "/", "-", "\\"];
const firstShownAfterMs = 600;
const nextFrameAfterMs = 120;

/** Shows that something goes on when `work` takes a while. Plain characters, and the cursor stays as it is. */
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
