-- Functions find their tables in any session, also in one of psql whose search_path lacks this schema.
alter function announce_key_changes(uuid[], uuid[]) set search_path = sazabi, pg_temp;
alter function announce_changed_keys() set search_path = sazabi, pg_temp;
alter function announce_changed_organizations() set search_path = sazabi, pg_temp;
alter function announce_changed_secrets() set search_path = sazabi, pg_temp;
alter function announce_deleted_secrets() set search_path = sazabi, pg_temp;
alter function announce_imported_keys() set search_path = sazabi, pg_temp;
alter function refuse_entries() set search_path = sazabi, pg_temp;
