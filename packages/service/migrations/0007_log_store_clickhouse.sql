-- What PostgreSQL knows of logs that are in ClickHouse.

-- Ids given to entries on their way to ClickHouse, noted before the first of them is sent. The commit that makes the entries
-- visible deletes the note. A note that stays is of an insert that nobody was told of; its rows are never shown.
create table log_inserts (
  project_number int not null,
  first_id bigint not null,
  last_id bigint not null,
  created_at timestamptz not null default now(),
  primary key (project_number, last_id)
);

-- Whether the entries are in ClickHouse. Without a row they are in `logs`.
create table log_store (
  one boolean primary key default true check (one),
  name text not null check (name = 'clickhouse'),
  since timestamptz not null default now()
);

-- How far the entries of each project have been copied to ClickHouse, and up to where the copy under way goes.
create table log_moves (
  project_number int primary key,
  moved_id bigint not null,
  moving_id bigint not null
);

-- A trigger on `logs` calls it once the entries are in ClickHouse: a process that does not know that must not store entries
-- where nobody looks.
create function refuse_entries() returns trigger
language plpgsql set search_path = sazabi, pg_temp as $$
begin
  raise exception 'the entries of this database are in ClickHouse' using errcode = 'SZ001';
end
$$;
