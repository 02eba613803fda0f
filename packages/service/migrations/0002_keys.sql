-- Keys, their secrets, and their uses.

-- A key is its identity: name, owner, limits, history. What is sent in a request is one of its secrets.
create table keys (
  id uuid primary key default gen_random_uuid(),
  organization_id uuid not null references organizations,
  project_id uuid references projects,
  kind text not null check (kind in ('public', 'secret')),
  style text not null check (style in ('live', 'sazabi')),
  name text not null,
  scopes text[] not null,
  created_at timestamptz not null default now(),
  created_by uuid references keys,
  expires_at timestamptz,
  revoked_at timestamptz,
  revoked_by uuid references keys,
  revoked_reason text,
  -- Only the log-forwarding key, which the published clients read again on every call.
  sealed_value bytea,
  requests_per_minute int check (requests_per_minute between 1 and 1000000),
  -- Where requests with the key may come from. Empty: from anywhere.
  allowed_addresses text[] not null default '{}' check (cardinality(allowed_addresses) <= 100),
  allowed_origins text[] not null default '{}' check (cardinality(allowed_origins) <= 100),
  -- How the text of an imported key begins. This is about its first secret only: a rotation makes one of ours.
  imported_prefix text check (imported_prefix ~ '^[A-Za-z0-9_.-]{3,20}$'),
  -- HMAC-SHA-256(pepper, SHA-256 of the imported key), so that the same key is not imported twice. The SHA-256 itself is
  -- deleted from key_secrets at the first use.
  imported_digest bytea unique check (length(imported_digest) = 32),
  -- A public key belongs to one project. A secret key belongs to the organization, or is narrowed to one project.
  check (kind = 'secret' or project_id is not null),
  check (kind = 'secret' or scopes = '{}'),
  check (sealed_value is null or kind = 'public'),
  -- Browsers send an origin, and a secret key must not be in a browser.
  constraint origins_of_public_keys check (kind = 'public' or allowed_origins = '{}')
);

create index keys_by_organization on keys (organization_id, kind, created_at desc, id desc);
create unique index one_log_forwarding_key on keys (project_id) where sealed_value is not null and revoked_at is null;
create index imported_prefixes on keys (imported_prefix) where imported_prefix is not null;

-- The secret keys that can administer an organization, the longest-lived first. Every revocation reads the first row.
create index administering_keys on keys (organization_id, coalesce(expires_at, 'infinity'::timestamptz) desc)
  where kind = 'secret' and project_id is null and revoked_at is null and scopes && '{*,write:keys}'::text[];

-- No key is stored: digest = HMAC-SHA-256(pepper of pepper_version, key), or SHA-256(key) with pepper_version 0 for an
-- imported key before its first use. A key has one secret, or two while it is rotated.
create table key_secrets (
  digest bytea primary key check (length(digest) = 32),
  key_id uuid not null references keys on delete cascade,
  pepper_version smallint not null,
  last_four text not null check (length(last_four) = 4),
  created_at timestamptz not null default now(),
  generation int not null default 1,
  -- When a replaced secret stops to work. Null on the current one.
  retires_at timestamptz,
  unique (key_id, generation)
);

create index key_secrets_by_key on key_secrets (key_id);
create unique index one_current_secret on key_secrets (key_id) where retires_at is null;

-- Apart from the keys, since it is written every second.
create table key_secret_uses (
  key_id uuid not null references keys,
  generation int not null,
  uses bigint not null,
  last_used_at timestamptz not null,
  -- The last use while the secret was valid. Somebody who still tries a dead secret does not make its key a used one.
  last_valid_at timestamptz,
  last_used_address text,
  last_used_agent text,
  primary key (key_id, generation)
) with (fillfactor = 50);

-- Requests by minute and secret. `refused` counts requests with a live key that were refused for another reason.
create table key_usage (
  key_id uuid not null references keys,
  generation int not null,
  minute timestamptz not null,
  accepted int not null,
  refused int not null,
  primary key (key_id, minute, generation)
) with (fillfactor = 50);

create index key_usage_by_age on key_usage (minute);

-- The answer to a creation or a rotation, encrypted. A retry with the same Idempotency-Key gets the same secret.
create table idempotent_answers (
  organization_id uuid not null references organizations,
  -- SHA-256 of the caller's key id, the operation and the Idempotency-Key.
  name bytea not null,
  request_hash bytea not null,
  sealed_answer bytea not null,
  created_at timestamptz not null default now(),
  primary key (organization_id, name)
);

create index idempotent_answers_by_age on idempotent_answers (created_at);
