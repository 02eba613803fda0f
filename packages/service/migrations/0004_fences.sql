-- Where requests with a key may come from. Empty: from anywhere.

alter table keys
  add column allowed_addresses text[] not null default '{}' check (cardinality(allowed_addresses) <= 100),
  add column allowed_origins text[] not null default '{}' check (cardinality(allowed_origins) <= 100),
  -- An origin is what a browser says, and a secret key has no business in a browser.
  add constraint origins_of_public_keys check (kind = 'public' or allowed_origins = '{}');
