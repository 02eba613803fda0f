-- What kind of message an entry has: the id of a template, which is its text's own hash, so that every process finds the same.
alter table logs add column pattern_id int;

create table log_patterns (
  project_number int not null,
  pattern_id int not null,
  template text not null,
  -- The last day on which a process met it.
  seen_on date not null default current_date,
  primary key (project_number, pattern_id)
);
