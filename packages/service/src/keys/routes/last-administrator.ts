import { isIP } from "node:net";
import type { Queryable } from "../../db/database.ts";
import { ApiError } from "../../errors.ts";
import { clientAddress, type HttpContext } from "../../http/context.ts";
import { administeredUntil } from "../store/administrators.ts";

/** Two days. A key that expires sooner is for a single task, not for administration. */
const longEnoughSeconds = 2 * 86_400;

interface Administration {
  readonly organizationId: string;
  /** Confirms that this may be the last administering key. */
  readonly force: boolean;
}

/**
 * Runs `work`, which reduces permissions of keys, in a transaction that locks the organization. Throws
 * 409 and rolls back when `work` shortens the time for which some key can administer the organization
 * to less than two days.
 */
export async function keepAdministrator<T>(
  c: HttpContext,
  tx: Queryable,
  { organizationId, force }: Administration,
  work: () => Promise<T>,
): Promise<T> {
  if (force) return work();
  // PostgreSQL rejects an address with a zone, and no list contains one.
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
