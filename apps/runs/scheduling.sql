-- Returns the schedules that are due. Schedules that wait for a run of their own pipeline to end are left out.
CREATE OR REPLACE FUNCTION schedules_due(most integer) RETURNS TABLE (org_id uuid, schedule_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.org_id, s.id FROM pipelines_schedule s
    WHERE s.next_run_at <= now() AND NOT (s.overlap <> 'skip' AND EXISTS (
        SELECT 1 FROM runs_run r WHERE r.org_id = s.org_id AND r.pipeline_id = s.pipeline_id
        AND (r.status = 'pending' OR (r.status = 'running'
            AND (s.overlap = 'queue' OR r.cancel_requested_at IS NOT NULL)))))
    ORDER BY s.next_run_at LIMIT most
$$;
