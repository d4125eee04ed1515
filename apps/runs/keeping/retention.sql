-- Returns the ended runs whose log has expired. A log expires with its run at the latest.
CREATE OR REPLACE FUNCTION runs_logs_due(most integer) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id, due.id FROM orgs_org o CROSS JOIN LATERAL (
        SELECT r.id FROM runs_run r WHERE r.org_id = o.id AND r.log_lines > r.log_removed
        AND r.finished_at < now() - make_interval(days => least(o.keep_logs_days, o.keep_runs_days))
        AND r.status NOT IN ('pending', 'running')
        ORDER BY r.finished_at LIMIT most) due
    WHERE o.keep_logs_days IS NOT NULL OR o.keep_runs_days IS NOT NULL
    LIMIT most
$$;

-- Returns the runs whose log removal was interrupted by a crash or a storage failure.
CREATE OR REPLACE FUNCTION runs_logs_going(most integer) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id FROM runs_run r WHERE r.log_removal_at IS NOT NULL
    ORDER BY r.log_removal_at LIMIT most
$$;

-- Returns the ended runs that have expired and have no log and no files any more. The newest run of each pipeline is
-- left out.
CREATE OR REPLACE FUNCTION runs_due(most integer) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id, due.id FROM orgs_org o CROSS JOIN LATERAL (
        SELECT r.id FROM runs_run r WHERE r.org_id = o.id
        AND r.created_at < now() - make_interval(days => o.keep_runs_days)
        AND r.finished_at < now() - make_interval(days => o.keep_runs_days)
        AND r.status NOT IN ('pending', 'running')
        AND r.log_lines <= r.log_removed AND r.log_removal_at IS NULL
        AND NOT EXISTS (SELECT 1 FROM runs_output f WHERE f.org_id = o.id AND f.run_id = r.id)
        AND EXISTS (SELECT 1 FROM runs_run n WHERE n.org_id = o.id AND n.pipeline_id = r.pipeline_id
                    AND (n.created_at, n.id) > (r.created_at, r.id))
        ORDER BY r.created_at LIMIT most) due
    WHERE o.keep_runs_days IS NOT NULL
    LIMIT most
$$;

-- Deletes the expired events of the orgs' streams.
CREATE OR REPLACE FUNCTION runs_remove_org_events(most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH old AS (
        SELECT due.id FROM orgs_org o CROSS JOIN LATERAL (
            SELECT e.id FROM runs_event e JOIN runs_run r ON r.id = e.run_id
            WHERE e.org_id = o.id AND e.kind = 'run'
            AND e.at < now() - make_interval(days => o.keep_events_days)
            AND r.status NOT IN ('pending', 'running') LIMIT most) due
        WHERE o.keep_events_days IS NOT NULL LIMIT most),
    gone AS (DELETE FROM runs_event e USING old WHERE e.id = old.id RETURNING 1)
    SELECT count(*) FROM gone
$$;

-- Deletes the expired audit events of all orgs, but never events younger than a year. For each org it adds an audit event
-- with the number of deleted events. While an org exists, its audit events can only be deleted by this function.
CREATE OR REPLACE FUNCTION orgs_prune_audit(most integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    due record;
    gone bigint;
    total bigint := 0;
BEGIN
    FOR due IN
        SELECT o.id, old.before FROM orgs_org o,
            LATERAL (SELECT now() - make_interval(days => greatest(o.keep_audit_days, 365)) AS before) old
        WHERE o.keep_audit_days IS NOT NULL
          AND EXISTS (SELECT 1 FROM orgs_auditevent a WHERE a.org_id = o.id AND a.at < old.before)
    LOOP
        EXIT WHEN total >= most;
        DELETE FROM orgs_auditevent WHERE id IN (
            SELECT a.id FROM orgs_auditevent a WHERE a.org_id = due.id AND a.at < due.before
            ORDER BY a.at LIMIT most - total);
        GET DIAGNOSTICS gone = ROW_COUNT;
        total := total + gone;
        IF gone > 0 THEN
            INSERT INTO orgs_auditevent
                (id, org_id, at, actor_kind, actor_label, action, object_kind, object_id, object_label, changes)
            VALUES (gen_random_uuid(), due.id, now(), 'system', 'Drover', 'audit.prune', 'organization', due.id, '',
                    jsonb_build_object('removed', jsonb_build_array(NULL, gone),
                                       'before', jsonb_build_array(NULL, due.before)));
        END IF;
    END LOOP;
    RETURN total;
END $$;

-- Returns the orgs that remove their runs after a number of days.
CREATE OR REPLACE FUNCTION orgs_with_run_retention() RETURNS TABLE (org_id uuid, days integer)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id, o.keep_runs_days FROM orgs_org o WHERE o.keep_runs_days IS NOT NULL
$$;
