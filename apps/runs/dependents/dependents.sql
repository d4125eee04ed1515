-- Returns the pipelines that successes of their upstream pipelines start now. apps.pipelines.dependencies.conditions
-- decides the same in Python.
CREATE OR REPLACE FUNCTION dependents_due(most integer) RETURNS TABLE (org_id uuid, pipeline_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT a.org_id, a.pipeline_id FROM pipelines_runafter a
    JOIN pipelines_pipeline p ON p.org_id = a.org_id AND p.id = a.pipeline_id AND p.enabled
    JOIN orgs_org o ON o.id = a.org_id AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    CROSS JOIN LATERAL (
        SELECT count(*) AS upstreams, max(u.last_success_at) AS newest, count(*) FILTER (
            WHERE u.last_success_at > d.used_until AND (a.mode = 'any' OR u.failing_since IS NULL)
            AND (a.window_seconds IS NULL OR u.last_success_at >= now() - make_interval(secs => a.window_seconds))) AS ready
        FROM pipelines_dependency d JOIN pipelines_pipeline u ON u.org_id = d.org_id AND u.id = d.upstream_id
        WHERE d.org_id = a.org_id AND d.pipeline_id = a.pipeline_id
    ) found
    WHERE found.ready > 0 AND (a.mode = 'any' OR found.ready = found.upstreams)
    AND NOT EXISTS (
        SELECT 1 FROM pipelines_schedule s
        WHERE s.org_id = a.org_id AND s.pipeline_id = a.pipeline_id
        AND (s.paused_at IS NOT NULL OR in_blackout(s.blackouts, s.timezone, now())))
    AND NOT EXISTS (
        SELECT 1 FROM runs_run r WHERE r.org_id = a.org_id AND r.pipeline_id = a.pipeline_id
        AND r.status IN ('pending', 'running'))
    ORDER BY found.newest LIMIT most
$$;
