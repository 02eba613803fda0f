-- Words are looked for in the attributes of entries whose message is empty. No index on words knows these entries, so this one
-- finds them. Other entries cost it nothing.
create index logs_empty_messages on logs (project_number, ts, id) where message = '';
