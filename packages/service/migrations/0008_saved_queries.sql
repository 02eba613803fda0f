-- Searches that people keep under a name, in one project.
create table saved_queries (
  id uuid primary key default gen_random_uuid(),
  project_id uuid not null references projects,
  name text not null,
  description text,
  -- In the query language; it is parsed at each use.
  query text not null,
  look_back_seconds int not null check (look_back_seconds > 0),
  created_by uuid references keys,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  unique (project_id, name)
);

create index saved_queries_by_age on saved_queries (project_id, created_at desc, id desc);
