-- Which trigrams occur in the messages of consecutive entries, so that a search for words among those of today, which
-- have no index, reads only where they can be. Entries without a map are read.
create table log_word_maps (
  project_number int not null,
  first_id bigint not null,
  last_id bigint not null,
  -- Where in time the entries lie, generously.
  times tstzmultirange not null,
  max_ts timestamptz not null,
  -- The hashes of trigrams (logs/postgres/word-maps.ts). Null: anything may be in these entries.
  words bit(30720),
  -- Whoever maps the entries from here on: one of them does.
  primary key (project_number, first_id)
);

-- Two on a page; out of line each look would cost several.
alter table log_word_maps alter column words set storage plain;
create index log_word_maps_by_time on log_word_maps (project_number, max_ts);

-- What was there before is not mapped.
insert into log_word_maps (project_number, first_id, last_id, times, max_ts)
select project_number, 1, last_id, tstzmultirange(tstzrange('-infinity', now() + interval '1 day')), now() + interval '1 day'
from log_heads where last_id > 0;

-- Ids are asked for as they are, and no two are alike: half the size, and half the work for each row that is stored.
drop index logs_by_trace;
create index logs_by_trace on logs using hash (trace_id) where trace_id is not null;
