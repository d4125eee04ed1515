-- Returns the org of the hook, or null. It is SECURITY DEFINER because the caller of a hook has no org.
CREATE OR REPLACE FUNCTION org_of_hook(wanted uuid) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT h.org_id FROM pipelines_hook h WHERE h.id = wanted
$$;

-- Deletes up to `most` calls of hooks that are older than `before`.
CREATE OR REPLACE FUNCTION hooks_remove_old_calls(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH calls AS (
        DELETE FROM pipelines_hookcall WHERE id IN (
            SELECT c.id FROM pipelines_hookcall c WHERE c.created_at < before LIMIT most) RETURNING 1)
    SELECT count(*) FROM calls
$$;
