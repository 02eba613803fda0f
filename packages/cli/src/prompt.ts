import type { ReadStream, WriteStream } from "node:tty";
import type { Prompt } from "./context.ts";
import { CliError } from "./errors.ts";
import { widthOf } from "./output/width.ts";

const enter = ["\r", "\n"];
const backspace = ["\u007f", "\b"];
const controlC = "\u0003";
const controlD = "\u0004";
/** What arrow, function and other keys send: none of it is text. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
const pressedKeys = /\u001b(?:\[[\d;<>?]*[ -/]*[@-~]|O.|[ -~])?/gu;
const controlU = "\u0015";

/** Prompts on the terminal. Questions go to stderr, because stdout is for results. */
export function terminalPrompt(stdin: ReadStream, stderr: WriteStream): Prompt {
  return {
    async secret(question) {
      const typed = await readLine(stdin, stderr, question, { echo: false });
      if (typed === "") throw new CliError("Nothing was entered.", { exit: "usage" });
      return typed;
    },

    async confirm(question) {
      const typed = await readLine(stdin, stderr, `${question} [y/N] `, { echo: true });
      return /^y(es)?$/i.test(typed.trim());
    },

    line: (question) => readLine(stdin, stderr, question, { echo: true }),
  };
}

/** Reads one line in raw mode, where the terminal echoes nothing by itself. */
function readLine(stdin: ReadStream, stderr: WriteStream, question: string, { echo }: { readonly echo: boolean }) {
  return new Promise<string>((resolve, reject) => {
    let typed = "";
    const finish = (end: () => void) => {
      stdin.off("data", onData).setRawMode(false).pause();
      stderr.write("\n");
      end();
    };
    const onData = (chunk: string) => {
      for (const key of chunk.replace(pressedKeys, "")) {
        if (key === controlC) return finish(() => reject(interrupted()));
        if (enter.includes(key) || (key === controlD && typed === "")) return finish(() => resolve(typed));
        if (backspace.includes(key)) typed = erase(typed);
        else if (key === controlU) while (typed !== "") typed = erase(typed);
        else if (key >= " ") {
          typed += key;
          if (echo) stderr.write(key);
        }
      }
    };
    const erase = (text: string) => {
      const rest = [...text].slice(0, -1).join("");
      if (echo) stderr.write("\b \b".repeat(widthOf(text) - widthOf(rest)));
      return rest;
    };
    // Raw mode starts before the question is shown, so that no input is echoed.
    stdin.setRawMode(true).setEncoding("utf8").on("data", onData).resume();
    stderr.write(question);
  });
}

/** In raw mode Ctrl-C is ordinary input and raises no signal. */
function interrupted(): CliError {
  return new CliError("Interrupted.", { code: "INTERRUPTED", exit: "interrupted" });
}
