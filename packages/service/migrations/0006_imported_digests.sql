-- An imported key moves under the pepper with its first use, and its SHA-256 is gone from key_secrets. What it was
-- imported by stays known, as HMAC-SHA-256(pepper, SHA-256), so that the same key is not imported twice.

alter table keys
  add column imported_digest bytea unique check (length(imported_digest) = 32);
