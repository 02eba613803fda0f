import { SazabiConnectionError } from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import type { Session } from "../session.ts";

/**
 * Returns the result of a create request. If the connection is lost, the outcome is unknown: the request is not
 * retried, and the error says how to check.
 */
export async function orSayWhereToLook<T>(
  session: Session,
  making: Promise<T>,
  what: string,
  look: string,
): Promise<T> {
  try {
    return await making;
  } catch (error) {
    if (!(error instanceof SazabiConnectionError)) throw error;
    const { explain } = await import("../error-message.ts");
    const { exit, code, message, hint } = explain(error, session);
    const unknown = `Whether the ${what} was made is not known: look with \`${look}\` before you repeat it.`;
    throw new CliError(message, { exit, code, hint: `${hint} ${unknown}`, cause: error });
  }
}
