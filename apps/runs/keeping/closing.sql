-- Returns the suspended orgs and the orgs in deletion that have live runs without a requested cancellation.
CREATE OR REPLACE FUNCTION orgs_closed_with_runs() RETURNS TABLE (org_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT o.id FROM orgs_org o JOIN runs_run r ON r.org_id = o.id
    WHERE (o.suspended_at IS NOT NULL OR o.deletion_at IS NOT NULL)
      AND r.status IN ('pending', 'running') AND r.cancel_requested_at IS NULL
$$;
