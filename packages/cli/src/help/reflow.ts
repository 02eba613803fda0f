/** Wraps the paragraphs of a help page at `width`. Indented lines (lists and examples) are unchanged. */
export function reflow(page: string, width: number): string {
  const lines: string[] = [];
  let inParagraph = false;
  for (const line of page.split("\n")) {
    const isText = line !== "" && !line.startsWith(" ");
    const goesOn = isText && inParagraph ? lines.pop() : undefined;
    lines.push(...(isText ? wrapped([goesOn, line].join(" ").trim(), width) : [line]));
    inParagraph = isText;
  }
  return lines.join("\n");
}

function wrapped(text: string, width: number): readonly string[] {
  const lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) as string;
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= width) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
