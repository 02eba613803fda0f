-- Rotation is a state of a key: it has one secret, or for a time two.

alter table key_secrets
  add column generation int not null default 1,
  -- Set on a secret that was replaced: it works until then. Null on the current one.
  add column retires_at timestamptz,
  add unique (key_id, generation);

create unique index one_current_secret on key_secrets (key_id) where retires_at is null;

create function announce_changed_secrets() returns trigger language plpgsql as $$
begin
  perform announce_key_changes(array(
    select distinct n.key_id from new_rows n join old_rows o using (key_id, generation)
    where n.retires_at is distinct from o.retires_at), '{}');
  return null;
end $$;

create trigger announce_changes after update on key_secrets
referencing old table as old_rows new table as new_rows
for each statement execute function announce_changed_secrets();

create function announce_deleted_secrets() returns trigger language plpgsql as $$
begin
  perform announce_key_changes(array(select distinct key_id from old_rows), '{}');
  return null;
end $$;

create trigger announce_deletions after delete on key_secrets
referencing old table as old_rows
for each statement execute function announce_deleted_secrets();

alter table keys
  add column requests_per_minute int check (requests_per_minute between 1 and 1000000);

-- Apart from the keys, since it is written every second.
create table key_secret_uses (
  key_id uuid not null references keys,
  generation int not null,
  uses bigint not null,
  last_used_at timestamptz not null,
  last_used_address text,
  last_used_agent text,
  primary key (key_id, generation)
) with (fillfactor = 50);

-- Requests of a key by minute, by the secret it was used with. `refused` had a live key and were turned away all the same.
create table key_usage (
  key_id uuid not null references keys,
  generation int not null,
  minute timestamptz not null,
  accepted int not null,
  refused int not null,
  primary key (key_id, minute, generation)
) with (fillfactor = 50);

create index key_usage_by_age on key_usage (minute);
create index log_volume_by_age on log_volume (minute);

-- What was done, by whom, from where. Each row holds the hash of the one before it in its organization.
create table audit_events (
  organization_id uuid not null references organizations,
  seq bigint not null,
  id uuid not null unique,
  at timestamptz not null,
  actor jsonb not null,
  action text not null,
  target jsonb not null,
  details jsonb not null,
  address text,
  request_id text,
  previous_hash bytea not null check (length(previous_hash) = 32),
  hash bytea not null check (length(hash) = 32),
  primary key (organization_id, seq)
);

create index audit_by_action on audit_events (organization_id, action, seq);
create index audit_by_target on audit_events (organization_id, (target ->> 'id'), seq);

-- The end of each organization's chain, locked by whoever adds to it.
create table audit_heads (
  organization_id uuid primary key references organizations,
  seq bigint not null,
  hash bytea not null
);

-- What a creation or rotation answered, sealed, so that a retry with the same Idempotency-Key gets the same secret.
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
