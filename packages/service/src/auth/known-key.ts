import type { KeyRecord } from "../store/keys.ts";
import type { KeyUseCount } from "./key-uses.ts";
import type { Bucket } from "./rate-limit.ts";

/**
 * A key as this process knows it: what the database said of it, and where its limit and its counts are kept, so that a
 * request finds all of it with one look-up.
 *
 * A class, with what each request reads first: the members then lie side by side in memory. With the same members in a
 * copied object literal, checking a key took twice as long.
 */
export class KnownKey implements KeyRecord {
  readonly id: KeyRecord["id"];
  readonly kind: KeyRecord["kind"];
  readonly revoked: KeyRecord["revoked"];
  readonly expiresAtMs: KeyRecord["expiresAtMs"];
  readonly retiresAtMs: KeyRecord["retiresAtMs"];
  readonly addresses: KeyRecord["addresses"];
  readonly origins: KeyRecord["origins"];
  readonly scopes: KeyRecord["scopes"];
  readonly requestsPerMinute: KeyRecord["requestsPerMinute"];
  /** Undefined before the key's first use here. */
  bucket: Bucket | undefined;
  /** Undefined before the key's first use here. */
  count: KeyUseCount | undefined;
  readonly name: KeyRecord["name"];
  readonly organizationId: KeyRecord["organizationId"];
  readonly projectId: KeyRecord["projectId"];
  readonly projectNumber: KeyRecord["projectNumber"];
  readonly allowedAddresses: KeyRecord["allowedAddresses"];
  readonly generation: KeyRecord["generation"];

  constructor(record: KeyRecord) {
    this.id = record.id;
    this.kind = record.kind;
    this.revoked = record.revoked;
    this.expiresAtMs = record.expiresAtMs;
    this.retiresAtMs = record.retiresAtMs;
    this.addresses = record.addresses;
    this.origins = record.origins;
    this.scopes = record.scopes;
    this.requestsPerMinute = record.requestsPerMinute;
    this.bucket = undefined;
    this.count = undefined;
    this.name = record.name;
    this.organizationId = record.organizationId;
    this.projectId = record.projectId;
    this.projectNumber = record.projectNumber;
    this.allowedAddresses = record.allowedAddresses;
    this.generation = record.generation;
  }
}
