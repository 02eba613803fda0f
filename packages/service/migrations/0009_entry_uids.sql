-- Entries that came with an id of their sender's, so that one that is sent again is not stored again.
create table log_entry_uids (
  project_number int not null,
  uid text collate "C" not null check (length(uid) <= 200),
  created_at timestamptz not null default now(),
  primary key (project_number, uid)
);

-- Rows are in the order of their age: a few blocks of index find those to forget.
create index log_entry_uids_by_age on log_entry_uids using brin (created_at);
