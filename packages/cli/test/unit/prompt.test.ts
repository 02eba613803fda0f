import { EventEmitter } from "node:events";
import type { ReadStream, WriteStream } from "node:tty";
import { describe, expect, test } from "vitest";
import { terminalPrompt } from "../../src/prompt.ts";

/** A terminal's two streams: what is pressed goes in, what is shown is kept. */
function keyboard() {
  const stdin = new EventEmitter();
  const itself = () => stdin;
  Object.assign(stdin, { setRawMode: itself, setEncoding: itself, resume: itself, pause: itself });
  const shown: string[] = [];
  const stderr = { write: (text: string) => shown.push(text) };
  return {
    prompt: terminalPrompt(stdin as unknown as ReadStream, stderr as unknown as WriteStream),
    press: (...keys: readonly string[]) => {
      for (const key of keys) stdin.emit("data", key);
    },
    shown: () => shown.join(""),
  };
}

const [up, home, f5, altB, esc] = ["\u001b[A", "\u001bOH", "\u001b[15~", "\u001bb", "\u001b"];

describe("at the prompt", () => {
  test.each([
    ["arrow and function keys are no part of the answer", ["ab", up, home, f5, altB, "c", esc, "\r"], "abc"],
    ["a paste that a terminal brackets is its text", ["\u001b[200~sk_live_1\u001b[201~", "\r"], "sk_live_1"],
    ["backspace and Ctrl-U take back", ["xyz", "\u0015", "ab", "\u007f", "c\n"], "ac"],
    ["Ctrl-D ends only an empty line", ["a", "\u0004", "b", "\r"], "ab"],
  ])("%s", async (_, keys, answer) => {
    const { prompt, press, shown } = keyboard();
    const typed = prompt.secret("Key: ");
    press(...keys);
    expect(await typed).toBe(answer);
    expect(shown()).toBe("Key: \n");
  });

  test("what shows is taken back whole, wide characters too", async () => {
    const { prompt, press, shown } = keyboard();
    const typed = prompt.line("Name: ");
    press("a字", "\u007f", "b\r");
    expect(await typed).toBe("ab");
    expect(shown()).toBe("Name: a字\b \b\b \bb\n");
  });

  test("only y and yes are a yes", async () => {
    for (const [keys, sure] of [
      ["y\r", true],
      ["YES\r", true],
      ["\r", false],
      ["n\r", false],
      ["yeah\r", false],
    ] as const) {
      const { prompt, press } = keyboard();
      const answer = prompt.confirm("Sure?");
      press(keys);
      expect(await answer).toBe(sure);
    }
  });

  test("Ctrl-C is 130, and an empty secret a usage error", async () => {
    const stopped = keyboard();
    const typed = stopped.prompt.secret("Key: ");
    stopped.press("abc\u0003");
    await expect(typed).rejects.toMatchObject({ exit: "interrupted" });
    const empty = keyboard();
    const nothing = empty.prompt.secret("Key: ");
    empty.press("\r");
    await expect(nothing).rejects.toMatchObject({ exit: "usage" });
  });
});
