import { inspectKey, type KeyFault, keyFaults, mayBeImportedKey } from "@sazabi/sdk";
import { CliError } from "../errors.ts";
import { visible } from "../output/visible.ts";
import type { Session } from "../session.ts";

/** Checks the format of a key offline. Fails if it is not valid. */
export async function inspect(session: Session, key: string | undefined): Promise<void> {
  const text = key === undefined || key === "-" ? await session.readKeyFromStdin("keys inspect") : key.trim();
  const inspection = inspectKey(text);
  await session.result(inspection, () => {
    if (inspection.valid)
      session.out(`${inspection.masked} is a well-formed ${inspection.kind} key (style ${inspection.style}).`);
  });
  if (inspection.valid) return session.remark("This does not check whether the service accepts it.");
  if (session.flags.json) throw new CliError("Not a valid key.", { code: "MALFORMED_KEY" });
  if (mayBeImportedKey(text)) {
    throw new CliError(`${visible(inspection.masked)} is not a key that Sazabi made.`, {
      code: "MALFORMED_KEY",
      hint: "If it was imported, only the service can tell: `sazabi whoami --key-stdin` asks it.",
    });
  }
  const kind = inspection.kind ? `a ${inspection.kind} key` : "a key";
  throw new CliError(
    `${visible(inspection.masked)} is not ${kind}: ${keyFaults[inspection.fault satisfies KeyFault]}.`,
    {
      code: "MALFORMED_KEY",
    },
  );
}
