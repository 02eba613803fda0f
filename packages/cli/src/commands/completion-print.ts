import type { Session } from "../session.ts";
import { completionScripts, type Shell } from "./completion-scripts.ts";

export async function print(session: Session, shell: Shell): Promise<void> {
  session.context.stdout.write(completionScripts[shell]);
}
