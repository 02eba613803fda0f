import { isIP } from "node:net";
import type { Queryable } from "../../db/database.ts";
import { ApiError } from "../../errors.ts";
import { clientAddress, type HttpContext } from "../../http/context.ts";
import { administeredUntil } from "../store/administrators.ts";

/** Two days. A key that ends sooner is made for a job, not for the administration. */
const longEnoughSeconds = 2 * 86_400;

interface Administration {
  readonly organizationId: string;
  /** Whoever asks says that it may be the last key. */
  readonly force: boolean;
}

/**
 * Runs `work`, which takes rights from keys, in a transaction that has locked the organization. Throws 409, which rolls the
 * transaction back, when `work` shortens the time for which some key can administer the organization to less than two days.
 */
export async function keepAdministrator<T>(
  c: HttpContext,
  tx: Queryable,
  { organizationId, force }: Administration,
  work: () => Promise<T>,
): Promise<T> {
  if (force) return work();
  // An address with a zone is none for PostgreSQL, and on no list.
  const address = clientAddress(c);
  const known = isIP(address) !== 0 && !address.includes("%") ? address : undefined;
  const until = () => administeredUntil(tx, organizationId, known);
  const before = await until();
  const result = await work();
  const after = await until();
  if (after.until < before.until && after.until < after.now + longEnoughSeconds) throw lastAdministrator();
  return result;
}

function lastAdministrator(): ApiError {
  return new ApiError(
    "CONFLICT",
    "Afterwards no secret key could administer the organization (write:keys in all projects, from this address, for two " +
      "days or more): this is the last secret key that can. Make another one first, or repeat with ?force=true.",
  );
}
