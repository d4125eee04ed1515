-- Deletes up to `most` stored responses to requests with an Idempotency-Key, from before a time. Returns their number.
CREATE OR REPLACE FUNCTION orgs_remove_old_idempotency(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (SELECT id FROM orgs_idempotencyrecord WHERE created_at < before LIMIT most),
         gone AS (DELETE FROM orgs_idempotencyrecord i USING old WHERE i.id = old.id RETURNING 1)
    SELECT count(*) FROM gone
$$;
