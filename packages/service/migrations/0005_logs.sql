-- Logs in PostgreSQL.

-- Partitioned by day of ts (UTC); the service makes partitions when rows need them.
create table logs (
  project_number int not null,
  ts timestamptz not null,
  id bigint not null,
  level smallint not null,
  service text not null,
  environment text,
  trace_id text,
  span_id text,
  message text not null,
  attributes jsonb not null,
  -- The id of the message's template: a hash of its text, so that every process computes the same.
  pattern_id int
) partition by range (ts);

-- Ascending, and read backwards: a descending index splits its leftmost page for ever.
create index logs_by_time on logs (project_number, ts, id);
create index logs_errors on logs (project_number, ts, id) where level >= 4;
-- Trace ids are compared for equality only, and no two are alike: a hash index is half the size and half the work.
create index logs_by_trace on logs using hash (trace_id) where trace_id is not null;
-- Words are searched in the attributes of entries whose message is empty. No index on words has these entries.
create index logs_empty_messages on logs (project_number, ts, id) where message = '';

-- The scalar elements, as JSON, of every attribute that is a list. Partitions of past days have an index on it. The result
-- may hold more than the query language calls an element, and never less. Null when there is no list. An element of more
-- than 500 bytes is replaced by its MD5: an index of PostgreSQL refuses keys of more than 2,712 bytes.
create function log_list_elements(attributes jsonb) returns text[]
language plpgsql immutable strict parallel safe set search_path = sazabi, pg_temp as $$
begin
  -- Most entries have no list.
  if strpos(attributes::text, '"[') = 0 then return null; end if;
  return (
    select array_agg(distinct case when octet_length(match[1]) > 500 then md5(match[1]) else match[1] end)
    from jsonb_each_text(attributes) as attribute,
      regexp_matches(attribute.value collate "C",
        E'[[,{]"(?:[^"\\\\\x01-\x1f]|\\\\["\\\\bfnrt]|\\\\u00(?:0[1-7be-f]|1[0-9a-f]))*":|[[,]("(?:[^"\\\\\x01-\x1f]|\\\\["\\\\bfnrt]|\\\\u00(?:0[1-7be-f]|1[0-9a-f]))*"|true|false|null|-?[0-9][0-9.eE+-]*)|"(?:[^"\\\\\x01-\x1f]|\\\\["\\\\bfnrt]|\\\\u00(?:0[1-7be-f]|1[0-9a-f]))*"|[^"]', 'g') as match
    where attribute.value like '[%]' and match[1] is not null
  );
end
$$;

-- Which trigrams occur in the messages of consecutive entries. A search for words in today's entries, which have no index on
-- words, skips the entries whose map lacks the trigrams. Entries without a map are read.
create table log_word_maps (
  project_number int not null,
  first_id bigint not null,
  last_id bigint not null,
  -- Where in time the entries lie, generously.
  times tstzmultirange not null,
  max_ts timestamptz not null,
  -- A Bloom filter of trigrams (logs/engines/postgres/trigram-bloom.ts). Null: anything may be in these entries.
  words bit(30720),
  -- Of two processes that map the entries from here on, one succeeds.
  primary key (project_number, first_id)
);

-- Two on a page; out of line each look would cost several.
alter table log_word_maps alter column words set storage plain;
create index log_word_maps_by_time on log_word_maps (project_number, max_ts);

-- Entries per minute.
create table log_volume (
  project_number int not null,
  minute timestamptz not null,
  level smallint not null,
  service text not null,
  environment text not null,
  -- A sender that gives only the date counts a whole day in one minute.
  entries bigint not null,
  primary key (project_number, minute, level, service, environment)
) with (fillfactor = 50);

create index log_volume_by_age on log_volume (minute);

-- What commits add to the counts per minute, until the service adds it to `log_volume`: one row of each commit and project,
-- written in the transaction that stores the entries, instead of an update for each kind of entries.
create table log_volume_added (
  project_number int not null,
  -- Objects of m (minute, in seconds since 1970), l (level), s (service), e (environment, unless empty), n (entries).
  counts json not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index log_volume_added_by_project on log_volume_added (project_number);

-- Exact at every moment: a count is in one of the two tables.
create view log_volume_complete as
select project_number, minute, level, service, environment, entries from log_volume
union all
select a.project_number, to_timestamp(c.m), c.l, c.s, coalesce(c.e, ''), c.n::bigint
from log_volume_added a
cross join lateral json_to_recordset(a.counts) as c(m bigint, l smallint, s text, e text, n int);
