-- How many days a project's logs are kept. Null: as long as the service keeps logs.
alter table projects add column retention_days int check (retention_days between 1 and 3650);
