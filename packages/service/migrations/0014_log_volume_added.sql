-- A sender that tells only the date counts a day in one minute.
alter table log_volume alter column entries type bigint;

-- What commits add to the counts per minute, until it is put together in `log_volume`: one row of each commit and
-- project, in place of an update for each kind of entries that it holds.
create table log_volume_added (
  project_number int not null,
  -- Objects of m (minute, in seconds since 1970), l (level), s (service), e (environment, unless empty), n (entries).
  counts json not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);

create index log_volume_added_by_project on log_volume_added (project_number);

-- Exact at every moment: what is in one of the two is not in the other.
create view log_volume_complete as
select project_number, minute, level, service, environment, entries from log_volume
union all
select a.project_number, to_timestamp(c.m), c.l, c.s, coalesce(c.e, ''), c.n::bigint
from log_volume_added a
cross join lateral json_to_recordset(a.counts) as c(m bigint, l smallint, s text, e text, n int);
