import { SazabiConnectionError } from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import type { Session } from "../session.ts";

/**
 * What the service made. When the connection is lost nobody here knows whether it did; it is not asked a second time,
 * and the error says where to look.
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
