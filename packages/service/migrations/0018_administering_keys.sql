-- The secret keys that can administer an organization, the one that lasts longest first: every revocation asks for it.
create index administering_keys on keys (organization_id, coalesce(expires_at, 'infinity'::timestamptz) desc)
  where kind = 'secret' and project_id is null and revoked_at is null and scopes && '{*,write:keys}'::text[];
