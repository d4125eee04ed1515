-- Returns the running runs whose lease has expired.
CREATE OR REPLACE FUNCTION runs_expired(most integer) RETURNS TABLE (org_id uuid, run_id uuid, lease uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id, r.lease FROM runs_run r
    WHERE r.status = 'running' AND r.lease_until < now() ORDER BY r.lease_until LIMIT most
$$;

-- Returns the runs that are still running although their cancellation was requested at least `seconds` ago.
CREATE OR REPLACE FUNCTION runs_overdue_cancels(seconds double precision) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id FROM runs_run r
    WHERE r.status = 'running' AND r.cancel_requested_at < now() - make_interval(secs => seconds)
$$;

-- Deletes old progress and log events of ended runs. The runs' rows and logs contain the same data. Events of the
-- org's stream (kind 'run') are deleted by runs_remove_org_events.
CREATE OR REPLACE FUNCTION runs_remove_old_events(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (SELECT e.id FROM runs_event e JOIN runs_run r ON r.id = e.run_id
                 WHERE e.at < before AND e.kind <> 'run' AND r.status NOT IN ('pending', 'running') LIMIT most),
         gone AS (DELETE FROM runs_event e USING old WHERE e.id = old.id RETURNING 1)
    SELECT count(*) FROM gone
$$;
