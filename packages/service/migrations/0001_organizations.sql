-- Organizations, their projects, and what people keep in a project. Names outside are uuids; inside, logs carry small integers.

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
  -- How many days the project's logs are kept. Null: as long as the service keeps logs.
  retention_days int check (retention_days between 1 and 3650),
  unique (organization_id, name)
);

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

-- Which server secrets this database was written under. A wrong secret stops the start of the service.
create table keyring_fingerprints (
  keyring text not null check (keyring in ('pepper', 'master')),
  version smallint not null,
  fingerprint bytea not null,
  primary key (keyring, version)
);
