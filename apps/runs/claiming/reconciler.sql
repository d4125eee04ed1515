-- Runs whose lease has run out: no worker has them any more.
CREATE OR REPLACE FUNCTION runs_expired(most integer) RETURNS TABLE (org_id uuid, run_id uuid, lease uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id, r.lease FROM runs_run r
    WHERE r.status = 'running' AND r.lease_until < now() ORDER BY r.lease_until LIMIT most
$$;

-- Runs that somebody asked to cancel `seconds` ago or earlier and that are still running.
CREATE OR REPLACE FUNCTION runs_overdue_cancels(seconds double precision) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id FROM runs_run r
    WHERE r.status = 'running' AND r.cancel_requested_at < now() - make_interval(secs => seconds)
$$;

-- Removes events of ended runs' own streams: their rows and logs say the same. The events of the org's stream
-- are kept for as long as the org wants.
CREATE OR REPLACE FUNCTION runs_remove_old_events(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (SELECT e.id FROM runs_event e JOIN runs_run r ON r.id = e.run_id
                 WHERE e.at < before AND e.kind <> 'run' AND r.status NOT IN ('pending', 'running') LIMIT most),
         gone AS (DELETE FROM runs_event e USING old WHERE e.id = old.id RETURNING 1)
    SELECT count(*) FROM gone
$$;
