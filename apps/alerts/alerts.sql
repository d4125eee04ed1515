-- Returns the channels to which something has to be sent now: a message again, or new events. New events of a pipeline wait
-- while a message with an earlier event of this pipeline is being sent again; so do, together, events about no pipeline.
-- Nothing is sent for suspended orgs.
CREATE OR REPLACE FUNCTION alerts_channels_due(most integer) RETURNS TABLE (org_id uuid, channel_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT d.org_id, d.channel_id FROM alerts_delivery d
    JOIN alerts_channel c ON c.org_id = d.org_id AND c.id = d.channel_id
    JOIN orgs_org o ON o.id = d.org_id
    WHERE d.state = 'pending' AND d.next_attempt_at <= statement_timestamp() AND c.enabled
    AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    AND (d.message_id IS NOT NULL OR (
        (c.grouped_until IS NULL OR c.grouped_until <= statement_timestamp()) AND NOT EXISTS (
            SELECT 1 FROM alerts_delivery e WHERE e.channel_id = d.channel_id AND e.pipeline_id IS NOT DISTINCT FROM d.pipeline_id
            AND e.kind <> 'test' AND e.state = 'pending' AND e.message_id IS NOT NULL)))
    LIMIT most
$$;

-- Deletes up to `most` old deliveries that are not pending, and old closed alerts.
CREATE OR REPLACE FUNCTION alerts_remove_old(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH deliveries AS (
        DELETE FROM alerts_delivery WHERE id IN (
            SELECT d.id FROM alerts_delivery d
            WHERE d.created_at < before AND d.state <> 'pending' LIMIT most) RETURNING 1),
    alerts AS (
        DELETE FROM alerts_alert WHERE id IN (
            SELECT a.id FROM alerts_alert a WHERE a.closed_at < before
            AND NOT EXISTS (SELECT 1 FROM alerts_delivery d WHERE d.org_id = a.org_id AND d.alert_id = a.id)
            LIMIT most) RETURNING 1)
    SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM alerts)
$$;

-- Returns the pipelines with runs about which nothing was decided yet, because deciding has failed.
CREATE OR REPLACE FUNCTION alerts_undecided(most integer) RETURNS TABLE (org_id uuid, pipeline_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT u.org_id, u.pipeline_id FROM alerts_undecidedrun u LIMIT most
$$;

-- Returns the pairs of rule and pipeline for which the clock opens an alert (is_open false), and the open alerts that the
-- clock closes, because their pipeline is not watched any more (is_open true). With `only_pipeline`, only those of this
-- pipeline. Nothing is returned for suspended orgs. See apps/alerts/rule_kinds/late.py and stale.py.
--
-- A pipeline is late from `late_at` on, which considers time zones, pauses and changes of its schedule: see
-- apps/pipelines/schedules/freshness.py. A run that started more than a week before the hours of a stale rule is not considered.
CREATE OR REPLACE FUNCTION alerts_found_by_time(most integer, only_pipeline uuid DEFAULT NULL)
RETURNS TABLE (org_id uuid, rule_id uuid, pipeline_id uuid, is_open boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.org_id, r.id, p.id, a.id IS NOT NULL FROM alerts_rule r
    JOIN orgs_org o ON o.id = r.org_id AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    JOIN pipelines_pipeline p ON p.org_id = r.org_id AND (only_pipeline IS NULL OR p.id = only_pipeline)
    LEFT JOIN pipelines_schedule s ON s.org_id = p.org_id AND s.pipeline_id = p.id
    LEFT JOIN alerts_alert a ON a.rule_id = r.id AND a.pipeline_id = p.id AND a.closed_at IS NULL
    WHERE r.kind IN ('late', 'stale') AND CASE
        WHEN a.id IS NOT NULL THEN NOT p.enabled OR s.paused_at IS NOT NULL
            OR (r.kind = 'late' AND (p.late_at IS NULL OR p.late_at > now()))
        WHEN NOT r.enabled OR NOT p.enabled OR s.paused_at IS NOT NULL THEN false
        WHEN (r.scope = 'org' OR r.pipeline_id = p.id OR r.domain_id = p.domain_id
            OR (r.scope = 'tag' AND r.tag = ANY (p.tags))) IS NOT TRUE THEN false
        WHEN r.kind = 'late' THEN p.failing_since IS NULL
            AND p.late_at <= now() - make_interval(mins => (r.settings->>'tolerance_minutes')::integer)
        ELSE greatest(p.created_at, p.updated_at, s.updated_at) <= now() - make_interval(hours => (r.settings->>'hours')::integer)
            AND NOT EXISTS (
                SELECT 1 FROM runs_run u WHERE u.org_id = p.org_id AND u.pipeline_id = p.id
                AND u.created_at > now() - make_interval(days => 7, hours => (r.settings->>'hours')::integer)
                AND u.finished_at > now() - make_interval(hours => (r.settings->>'hours')::integer)
                AND u.status = 'succeeded' AND u.records_written > 0) END
    LIMIT most
$$;
