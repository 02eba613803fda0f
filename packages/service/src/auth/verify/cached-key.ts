import type { KeyRecord } from "../../keys/store/keys.ts";
import type { UseCount } from "../../keys/usage/uses.ts";
import type { SecretCaller, SelfServiceCaller } from "../caller.ts";
import type { Bucket } from "../rate-limit/rate-limit.ts";

/**
 * A key as cached by this process: its database record, its rate-limit bucket and its counters, so
 * that a request needs one look-up. Handlers receive it as the caller, since copying the visible
 * members would read all of it for each request.
 *
 * It is a class whose first members are those that each request reads, so that they are adjacent in
 * memory. With the same members in a copied object literal, checking a key took twice as long. With
 * very many keys, memory accesses dominate the cost of a request. The counters are therefore integers
 * stored here, and keys with the same scopes share one list.
 */
export class CachedKey implements SecretCaller, SelfServiceCaller, UseCount {
  readonly keyId: KeyRecord["id"];
  readonly kind: KeyRecord["kind"];
  readonly revoked: KeyRecord["revoked"];
  readonly expiresAtMs: KeyRecord["expiresAtMs"];
  readonly retiresAtMs: KeyRecord["retiresAtMs"];
  readonly addresses: KeyRecord["addresses"];
  readonly origins: KeyRecord["origins"];
  readonly scopes: KeyRecord["scopes"];
  readonly requestsPerMinute: KeyRecord["requestsPerMinute"];
  /** Undefined before the first use of the key in this process. */
  bucket: Bucket | undefined;
  minute: number;
  accepted: number;
  refused: number;
  wasValid: boolean;
  lastUsedInMinuteMs: number;
  address: string;
  agent: string | undefined;
  readonly keyName: KeyRecord["name"];
  readonly organizationId: KeyRecord["organizationId"];
  readonly projectId: KeyRecord["projectId"];
  readonly projectNumber: KeyRecord["projectNumber"];
  readonly allowedAddresses: KeyRecord["allowedAddresses"];
  readonly generation: KeyRecord["generation"];

  constructor(record: KeyRecord) {
    this.keyId = record.id;
    this.kind = record.kind;
    this.revoked = record.revoked;
    this.expiresAtMs = record.expiresAtMs;
    this.retiresAtMs = record.retiresAtMs;
    this.addresses = record.addresses;
    this.origins = record.origins;
    this.scopes = sharedScopes(record.scopes);
    this.requestsPerMinute = record.requestsPerMinute;
    this.bucket = undefined;
    this.minute = 0;
    this.accepted = 0;
    this.refused = 0;
    this.wasValid = false;
    this.lastUsedInMinuteMs = 0;
    this.address = "";
    this.agent = undefined;
    this.keyName = record.name;
    this.organizationId = record.organizationId;
    this.projectId = record.projectId;
    this.projectNumber = record.projectNumber;
    this.allowedAddresses = record.allowedAddresses;
    this.generation = record.generation;
  }
}

/** Shared scope lists: many keys have few distinct lists. The map is cleared when it is full. */
const scopeLists = new Map<string, KeyRecord["scopes"]>();
const maxScopeLists = 1_000;

function sharedScopes(scopes: KeyRecord["scopes"]): KeyRecord["scopes"] {
  const name = scopes.join(" ");
  const known = scopeLists.get(name);
  if (known) return known;
  if (scopeLists.size >= maxScopeLists) scopeLists.clear();
  scopeLists.set(name, scopes);
  return scopes;
}
