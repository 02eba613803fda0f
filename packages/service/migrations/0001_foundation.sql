-- Organizations, projects, keys, logs. Names outside are uuids; inside, logs carry small integers.

create table organizations (
  id uuid primary key default gen_random_uuid(),
  name text not null,
  slug text not null unique,
  created_at timestamptz not null default now(),
  disabled_at timestamptz
);

create table projects (
  id uuid primary key default gen_random_uuid(),
  number int generated always as identity unique,
  organization_id uuid not null references organizations,
  name text not null,
  region text not null,
  created_at timestamptz not null default now(),
  unique (organization_id, name)
);

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
  -- Only the log-forwarding key, which the contract of the clients returns on every call.
  sealed_value bytea,
  -- A public key belongs to one project; a secret key to the organization, or narrowed to one project.
  check (kind = 'secret' or project_id is not null),
  check (kind = 'secret' or scopes = '{}'),
  check (sealed_value is null or kind = 'public')
);

create index keys_by_organization on keys (organization_id, kind, created_at desc, id desc);
create unique index one_log_forwarding_key on keys (project_id) where sealed_value is not null and revoked_at is null;

-- The key itself is nowhere: digest = HMAC-SHA-256(pepper of pepper_version, key).
create table key_secrets (
  digest bytea primary key check (length(digest) = 32),
  key_id uuid not null references keys on delete cascade,
  pepper_version smallint not null,
  last_four text not null check (length(last_four) = 4),
  created_at timestamptz not null default now()
);

create index key_secrets_by_key on key_secrets (key_id);

create table threads (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references projects,
  title text,
  status text not null default 'regular' check (status in ('regular', 'archived')),
  source text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index threads_by_project on threads (project_id, created_at desc, id desc);

-- Whoever stores logs of a project holds its row here until the commit, so ids ascend in the order of commits.
create table log_heads (
  project_number int primary key references projects (number),
  last_id bigint not null default 0
);

-- Partitioned by day of ts (UTC); the service makes partitions when rows need them.
create table logs (
  project_number int not null,
  ts timestamptz not null,
  id bigint not null,
  level smallint not null,
  service text not null,
  environment text,
  trace_id text,
  span_id text,
  message text not null,
  attributes jsonb not null
) partition by range (ts);

-- Ascending, and read backwards: a descending index splits its leftmost page for ever.
create index logs_by_time on logs (project_number, ts, id);
create index logs_errors on logs (project_number, ts, id) where level >= 4;
create index logs_by_trace on logs (trace_id) where trace_id is not null;

-- Entries per minute, written in the transaction that stores them.
create table log_volume (
  project_number int not null,
  minute timestamptz not null,
  level smallint not null,
  service text not null,
  environment text not null,
  entries int not null,
  primary key (project_number, minute, level, service, environment)
) with (fillfactor = 50);

-- A retried batch with the same Idempotency-Key is answered from here.
create table log_batches (
  project_number int not null,
  idempotency_key text not null check (length(idempotency_key) <= 200),
  body_hash bytea not null,
  answer jsonb not null,
  created_at timestamptz not null default now(),
  primary key (project_number, idempotency_key)
);

create index log_batches_by_age on log_batches (created_at);

-- Which server secrets this database was written under, so that a wrong one stops the start and not the keys.
create table keyring_fingerprints (
  keyring text not null check (keyring in ('pepper', 'master')),
  version smallint not null,
  fingerprint bytea not null,
  primary key (keyring, version)
);
