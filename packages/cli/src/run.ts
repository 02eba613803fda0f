import type { Context } from "./context.ts";
import { exits } from "./errors.ts";
import { readGlobalFlags } from "./global-options.ts";
import { maskKeys } from "./output/mask.ts";
import { safeJson, visible } from "./output/visible.ts";
import { runProgram } from "./program.ts";
import { Session } from "./session.ts";

/** Runs one command line and returns its exit code. */
export async function run(argv: readonly string[], context: Context): Promise<number> {
  if (argv[0] === "__complete") return completeWord(argv.slice(1), context);
  let session = new Session(context, {});
  const begin = (flags: object, options: object) => {
    session = new Session(context, readGlobalFlags(flags, options));
    return session;
  };
  try {
    return await runProgram(argv, { context, open: () => session }, begin);
  } catch (error) {
    return fail(error, session);
  }
}

/** Completes a word for the shell. Errors are not reported. */
async function completeWord(words: readonly string[], context: Context): Promise<number> {
  try {
    await (await import("./completion/complete.ts")).complete(words, context);
  } catch {}
  return exits.ok.code;
}

async function fail(error: unknown, session: Session): Promise<number> {
  if (session.context.signal.aborted) return exits.interrupted.code;
  const { explain } = await import("./error-message.ts");
  const { exit, ...explanation } = explain(error, session);
  await report(session, { ...explanation, exitCode: exits[exit].code });
  return exits[exit].code;
}

interface Report {
  readonly code: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly requestId?: string | undefined;
  readonly exitCode: number;
}

/** Prints an error to stderr, as text or as one line of JSON. */
async function report(session: Session, { hint, ...failure }: Report): Promise<void> {
  const { stderr } = session.context;
  if (session.flags.json || session.flags.ndjson) return stderr.write(`${maskKeys(safeJson({ ...failure, hint }))}\n`);
  const { err } = await session.palettes();
  const { sentence } = await import("./error-message.ts");
  const request = failure.requestId && !hint?.includes(failure.requestId) ? `(request ${failure.requestId})` : "";
  const words = [sentence(failure.message), hint, request].filter(Boolean).join(" ");
  stderr.write(`${err.error("error:")} ${maskKeys(visible(words))}\n`);
}
