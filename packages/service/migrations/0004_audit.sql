-- What was done, by whom, from where. Each row holds the hash of the one before it in its organization.
create table audit_events (
  organization_id uuid not null references organizations,
  seq bigint not null,
  id uuid not null unique,
  at timestamptz not null,
  actor jsonb not null,
  action text not null,
  target jsonb not null,
  details jsonb not null,
  address text,
  request_id text,
  previous_hash bytea not null check (length(previous_hash) = 32),
  hash bytea not null check (length(hash) = 32),
  primary key (organization_id, seq)
);

create index audit_by_action on audit_events (organization_id, action, seq);
create index audit_by_target on audit_events (organization_id, (target ->> 'id'), seq);

-- The end of each organization's chain. A transaction that adds to the chain locks it.
create table audit_heads (
  organization_id uuid primary key references organizations,
  seq bigint not null,
  hash bytea not null
);
