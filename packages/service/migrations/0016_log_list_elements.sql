-- The scalar elements, as JSON, of every attribute that is a list: the index of a day that is over finds by them. It may hold
-- more than the query language calls an element, and nothing less; the pattern is the language's own. Null where there is none.
create function log_list_elements(attributes jsonb) returns text[]
language plpgsql immutable strict parallel safe set search_path = sazabi, pg_temp as $$
begin
  -- Most entries have no list.
  if strpos(attributes::text, '"[') = 0 then return null; end if;
  return (
    select array_agg(distinct match[1])
    from jsonb_each_text(attributes) as attribute,
      regexp_matches(attribute.value collate "C",
        E'[[,{]"(?:[^"\\\\\x01-\x1f]|\\\\["\\\\bfnrt]|\\\\u00(?:0[1-7be-f]|1[0-9a-f]))*":|[[,]("(?:[^"\\\\\x01-\x1f]|\\\\["\\\\bfnrt]|\\\\u00(?:0[1-7be-f]|1[0-9a-f]))*"|true|false|null|-?[0-9][0-9.eE+-]*)|"(?:[^"\\\\\x01-\x1f]|\\\\["\\\\bfnrt]|\\\\u00(?:0[1-7be-f]|1[0-9a-f]))*"|[^"]', 'g') as match
    where attribute.value like '[%]' and match[1] is not null
  );
end
$$;
