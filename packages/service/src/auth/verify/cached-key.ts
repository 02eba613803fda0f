import type { KeyRecord } from "../../keys/store/keys.ts";
import type { UseCount } from "../../keys/usage/uses.ts";
import type { SecretCaller, SelfServiceCaller } from "../caller.ts";
import type { Bucket } from "../rate-limit/rate-limit.ts";

/**
 * A key as this process knows it: what the database said of it, where its limit is kept, and its counts, so that a request
 * finds all of it with one look-up. Handlers get it as the caller: to copy what they may see would read all of it each time.
 *
 * A class, with what each request reads first: the members then lie side by side in memory. With the same members in a
 * copied object literal, checking a key took twice as long. With very many keys, what a request costs is how many places of
 * memory it has to go to: so the counts are whole numbers in here, and keys with the same scopes share one list of them.
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
  /** Undefined before the key's first use here. */
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

/** There are few kinds of keys, and many keys. Begins anew when it is full of kinds. */
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
