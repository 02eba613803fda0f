import { inspectKey, type KeyFault, keyFaults, mayBeImportedKey } from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";

/** Checks the format of a key offline. Fails if it is not valid. */
export async function inspect(session: Session, key: string | undefined): Promise<void> {
  const text = key === undefined || key === "-" ? await session.readKeyFromStdin("keys inspect") : key.trim();
  const found = inspectKey(text);
  await session.result(found, () => {
    if (found.valid) session.out(`${found.masked} is a well-formed ${found.kind} key (style ${found.style}).`);
  });
  if (found.valid) return session.remark("Whether the service still accepts it is not known here.");
  if (session.flags.json) throw new CliError("Not a valid key.", { code: "MALFORMED_KEY" });
  if (mayBeImportedKey(text)) {
    throw new CliError(`${visible(found.masked)} is not a key that Sazabi made.`, {
      code: "MALFORMED_KEY",
      hint: "If it was imported, only the service can tell: `sazabi whoami --key-stdin` asks it.",
    });
  }
  const kind = found.kind ? `a ${found.kind} key` : "a key";
  throw new CliError(`${visible(found.masked)} is not ${kind}: ${keyFaults[found.fault satisfies KeyFault]}.`, {
    code: "MALFORMED_KEY",
  });
}
