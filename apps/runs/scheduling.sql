-- Returns the schedules that are due. Schedules that wait for a run of their own pipeline to end are left out.
CREATE OR REPLACE FUNCTION schedules_due(most integer) RETURNS TABLE (org_id uuid, schedule_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT s.org_id, s.id FROM pipelines_schedule s
    WHERE s.next_run_at <= now() AND NOT EXISTS (
        SELECT 1 FROM runs_run r WHERE r.org_id = s.org_id AND r.pipeline_id = s.pipeline_id
        AND r.status IN ('pending', 'running') AND (r.backfill_id IS NOT NULL OR r.trigger = 'replay' OR (s.overlap <> 'skip'
            AND (r.status = 'pending' OR s.overlap = 'queue' OR r.cancel_requested_at IS NOT NULL))))
    ORDER BY s.next_run_at LIMIT most
$$;

-- Returns the unfinished backfills of pipelines without a live run, the oldest first.
CREATE OR REPLACE FUNCTION backfills_due(most integer) RETURNS TABLE (org_id uuid, backfill_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT b.org_id, b.id FROM runs_backfill b
    WHERE b.status = 'running' AND NOT EXISTS (
        SELECT 1 FROM runs_run r WHERE r.org_id = b.org_id AND r.pipeline_id = b.pipeline_id
        AND r.status IN ('pending', 'running'))
    ORDER BY b.created_at LIMIT most
$$;
