-- Where the ids of a transaction lie in time, since logs are indexed by time: written with the rows themselves.
-- Entries of one transaction can be days apart (a sender that was offline): then there is a row for each stretch.
create table log_commits (
  project_number int not null,
  last_id bigint not null,
  min_ts timestamptz not null,
  max_ts timestamptz not null,
  first_id bigint not null,
  primary key (project_number, last_id, min_ts)
);

insert into log_commits (project_number, last_id, min_ts, max_ts, first_id)
select project_number, max(id), min(ts), max(ts), min(id) from logs group by project_number, id / 5000;
