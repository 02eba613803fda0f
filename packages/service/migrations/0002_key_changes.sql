-- Immediate revocation on every replica (docs/decisions/0002-revocation-by-lease.md).

-- The number of the latest change. Whoever changes a key holds this row until the commit, so numbers ascend in
-- the order of commits.
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
  -- Renewed every two seconds. Others watch this number change; no clock is compared with another machine's.
  renewals bigint not null default 0,
  renewed_at timestamptz not null default now(),
  -- Every change up to this one is forgotten there.
  acknowledged bigint not null
) with (fillfactor = 50);

-- Numbers the changes and announces them when the transaction commits. Many keys at once are announced by
-- organization: forgetting too much costs a few look-ups, a thousand notifications cost more.
create function announce_key_changes(key_ids uuid[], organization_ids uuid[]) returns void
language plpgsql as $$
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

-- Every change of what a key is or may do is announced here, whoever makes it: no code path can forget to.
create function announce_changed_keys() returns trigger language plpgsql as $$
begin
  perform announce_key_changes(array(
    select n.id from new_rows n join old_rows o using (id) where n.* is distinct from o.*), '{}');
  return null;
end $$;

create trigger announce_changes after update on keys
referencing old table as old_rows new table as new_rows
for each statement execute function announce_changed_keys();

create function announce_changed_organizations() returns trigger language plpgsql as $$
begin
  perform announce_key_changes('{}', array(
    select n.id from new_rows n join old_rows o using (id) where n.disabled_at is distinct from o.disabled_at));
  return null;
end $$;

create trigger announce_changes after update on organizations
referencing old table as old_rows new table as new_rows
for each statement execute function announce_changed_organizations();
