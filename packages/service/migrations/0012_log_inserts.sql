-- Ids handed out for entries on their way to ClickHouse, noted before the first of them leaves. The note goes with the
-- commit that makes them visible; one that stays stands for an insert nobody was told of, whose rows nobody is shown.
create table log_inserts (
  project_number int not null,
  first_id bigint not null,
  last_id bigint not null,
  created_at timestamptz not null default now(),
  primary key (project_number, last_id)
);

-- Whether the entries are in ClickHouse; without a row they are here, in `logs`.
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

-- A trigger on `logs` calls it once they are there: a process that was not told so must not store where nobody looks.
create function refuse_entries() returns trigger language plpgsql as $$
begin
  raise exception 'the entries of this database are in ClickHouse' using errcode = 'SZ001';
end
$$;
