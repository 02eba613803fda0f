-- Keys that customers hold already, made elsewhere and known here by their SHA-256 (pepper_version 0) until they are
-- used for the first time.

alter table keys
  -- How the texts of an imported key begin. Of its first secret only: a rotation gives it one of ours.
  add column imported_prefix text check (imported_prefix ~ '^[A-Za-z0-9_.-]{3,20}$');

create index imported_prefixes on keys (imported_prefix) where imported_prefix is not null;

-- Replicas know the prefixes by heart, so that a text that is no key at all costs no I/O. New ones are announced.
create function announce_imported_keys() returns trigger language plpgsql as $$
begin
  perform announce_key_changes('{}', array(
    select distinct organization_id from new_rows where imported_prefix is not null));
  return null;
end $$;

create trigger announce_imports after insert on keys
referencing new table as new_rows
for each statement execute function announce_imported_keys();
