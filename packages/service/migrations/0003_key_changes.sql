-- Immediate revocation on every replica (docs/decisions/0002-revocation-by-lease.md).

-- The number of the latest change. A transaction that changes a key locks this row until its commit, so numbers ascend
-- in the order of commits.
create table key_change_head (
  only_row boolean primary key default true check (only_row),
  seq bigint not null
);
insert into key_change_head (seq) values (0);

create table key_changes (
  seq bigint primary key,
  -- What replicas must forget: one key, or all keys of an organization.
  key_id uuid,
  organization_id uuid,
  transaction_id xid8 not null default pg_current_xact_id(),
  changed_at timestamptz not null default now(),
  check (num_nonnulls(key_id, organization_id) = 1)
);

-- One row for each process that may answer from its cache.
create table replicas (
  id uuid primary key,
  -- Incremented every two seconds. Other processes watch the number; no clock is compared with another machine's.
  renewals bigint not null default 0,
  renewed_at timestamptz not null default now(),
  -- The replica has forgotten every change up to this one.
  acknowledged bigint not null
) with (fillfactor = 50);

-- The functions set their search_path, so that they also work in a session of psql without this schema in its path.

-- Numbers the changes and announces them at commit. More than 20 keys are announced by organization: forgetting too much
-- costs a few look-ups, a thousand notifications cost more.
create function announce_key_changes(key_ids uuid[], organization_ids uuid[]) returns void
language plpgsql set search_path = sazabi, pg_temp as $$
declare
  target record;
  next_seq bigint;
begin
  for target in
    select k.id as key_id, null::uuid as organization_id from unnest(key_ids) as k(id) where cardinality(key_ids) <= 20
    union all
    select null, o.id from unnest(organization_ids) as o(id)
    union all
    select distinct null::uuid, keys.organization_id from keys
    where cardinality(key_ids) > 20 and keys.id = any(key_ids)
  loop
    update key_change_head set seq = seq + 1 returning seq into next_seq;
    insert into key_changes (seq, key_id, organization_id) values (next_seq, target.key_id, target.organization_id);
    perform pg_notify('sazabi_key_changes', json_strip_nulls(json_build_object(
      'seq', next_seq, 'keyId', target.key_id, 'organizationId', target.organization_id))::text);
  end loop;
end $$;

-- Triggers announce every change of a key's rights or state, so no code path can forget to.
create function announce_changed_keys() returns trigger
language plpgsql set search_path = sazabi, pg_temp as $$
begin
  perform announce_key_changes(array(
    select n.id from new_rows n join old_rows o using (id) where n.* is distinct from o.*), '{}');
  return null;
end $$;

create trigger announce_changes after update on keys
referencing old table as old_rows new table as new_rows
for each statement execute function announce_changed_keys();

create function announce_changed_organizations() returns trigger
language plpgsql set search_path = sazabi, pg_temp as $$
begin
  perform announce_key_changes('{}', array(
    select n.id from new_rows n join old_rows o using (id) where n.disabled_at is distinct from o.disabled_at));
  return null;
end $$;

create trigger announce_changes after update on organizations
referencing old table as old_rows new table as new_rows
for each statement execute function announce_changed_organizations();

create function announce_changed_secrets() returns trigger
language plpgsql set search_path = sazabi, pg_temp as $$
begin
  perform announce_key_changes(array(
    select distinct n.key_id from new_rows n join old_rows o using (key_id, generation)
    where n.retires_at is distinct from o.retires_at), '{}');
  return null;
end $$;

create trigger announce_changes after update on key_secrets
referencing old table as old_rows new table as new_rows
for each statement execute function announce_changed_secrets();

create function announce_deleted_secrets() returns trigger
language plpgsql set search_path = sazabi, pg_temp as $$
begin
  perform announce_key_changes(array(select distinct key_id from old_rows), '{}');
  return null;
end $$;

create trigger announce_deletions after delete on key_secrets
referencing old table as old_rows
for each statement execute function announce_deleted_secrets();

-- Replicas keep all prefixes of imported keys in memory, so that a text that is no key costs no I/O.
create function announce_imported_keys() returns trigger
language plpgsql set search_path = sazabi, pg_temp as $$
begin
  perform announce_key_changes('{}', array(
    select distinct organization_id from new_rows where imported_prefix is not null));
  return null;
end $$;

create trigger announce_imports after insert on keys
referencing new table as new_rows
for each statement execute function announce_imported_keys();
