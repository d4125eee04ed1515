-- Returns a call that has to be made now, of each org that has some. Nothing is called for suspended orgs. Times that are too
-- far in the future were set by a computer whose clock was wrong, and do not count: see FARTHEST in attempts.py.
CREATE OR REPLACE FUNCTION follow_up_calls_due(most integer) RETURNS TABLE (org_id uuid, call_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT ON (c.org_id) c.org_id, c.id FROM alerts_followupcall c
    JOIN orgs_org o ON o.id = c.org_id AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    WHERE c.state = 'pending'
    AND c.next_attempt_at NOT BETWEEN statement_timestamp() AND statement_timestamp() + interval '3 hours'
    ORDER BY c.org_id, c.next_attempt_at LIMIT most
$$;

-- Deletes up to `most` old calls that are not pending.
CREATE OR REPLACE FUNCTION follow_up_calls_remove_old(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH calls AS (
        DELETE FROM alerts_followupcall WHERE id IN (
            SELECT c.id FROM alerts_followupcall c
            WHERE c.created_at < before AND c.state <> 'pending' LIMIT most) RETURNING 1)
    SELECT count(*) FROM calls
$$;
