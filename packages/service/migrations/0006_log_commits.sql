-- What both log engines keep in PostgreSQL about commits of logs.

-- A transaction that stores logs of a project locks its row here until the commit, so ids ascend in the order of commits.
create table log_heads (
  project_number int primary key references projects (number),
  last_id bigint not null default 0
);

-- Where the ids of a transaction lie in time, since logs are indexed by time. Entries of one transaction can be days apart
-- (a sender that was offline): then there is a row for each range.
create table log_commits (
  project_number int not null,
  last_id bigint not null,
  min_ts timestamptz not null,
  max_ts timestamptz not null,
  first_id bigint not null,
  primary key (project_number, last_id, min_ts)
);

-- A repeated batch with the same Idempotency-Key is answered from here.
create table log_batches (
  project_number int not null,
  idempotency_key text not null check (length(idempotency_key) <= 200),
  body_hash bytea not null,
  answer jsonb not null,
  created_at timestamptz not null default now(),
  primary key (project_number, idempotency_key)
);

create index log_batches_by_age on log_batches (created_at);

-- Entries that came with an id of their sender's, so that one that is sent again is not stored again.
create table log_entry_uids (
  project_number int not null,
  uid text collate "C" not null check (length(uid) <= 200),
  created_at timestamptz not null default now(),
  primary key (project_number, uid)
);

-- Rows are in the order of their age: a few blocks of the index find those to delete.
create index log_entry_uids_by_age on log_entry_uids using brin (created_at);

-- The templates of messages.
create table log_patterns (
  project_number int not null,
  pattern_id int not null,
  template text not null,
  -- The last day on which a process saw it.
  seen_on date not null default current_date,
  primary key (project_number, pattern_id)
);
