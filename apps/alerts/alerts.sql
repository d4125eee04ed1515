-- Returns the channels to which something has to be sent now: a message again, or new events. New events of a pipeline wait
-- while a message with an earlier event of this pipeline is being sent again; so do, together, events about no pipeline.
-- Nothing is sent for suspended orgs. Times that are too far in the future were set by a computer whose clock was wrong, and do
-- not count: see FARTHEST in delivering.py and LONGEST_HOLD in timing.py.
CREATE OR REPLACE FUNCTION alerts_channels_due(most integer) RETURNS TABLE (org_id uuid, channel_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT d.org_id, d.channel_id FROM alerts_delivery d
    JOIN alerts_channel c ON c.org_id = d.org_id AND c.id = d.channel_id
    JOIN orgs_org o ON o.id = d.org_id
    WHERE d.state = 'pending' AND c.enabled
    AND d.next_attempt_at NOT BETWEEN statement_timestamp() AND statement_timestamp() + interval '3 hours'
    AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    AND (d.message_id IS NOT NULL OR (
        (c.grouped_until BETWEEN statement_timestamp() AND statement_timestamp() + interval '3 hours') IS NOT TRUE
        AND (d.urgent OR (c.held_until BETWEEN statement_timestamp() AND statement_timestamp() + interval '9 days') IS NOT TRUE)
        AND NOT EXISTS (
            SELECT 1 FROM alerts_delivery e WHERE e.channel_id = d.channel_id AND e.pipeline_id IS NOT DISTINCT FROM d.pipeline_id
            AND e.kind <> 'test' AND e.state = 'pending' AND e.message_id IS NOT NULL)))
    LIMIT most
$$;

-- Deletes up to `most` old deliveries that are not pending, and old closed alerts. The deliveries of a message that has opened
-- an incident are kept while one of its alerts is open, because its recovery needs the id of the message.
CREATE OR REPLACE FUNCTION alerts_remove_old(before timestamptz, most integer) RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH deliveries AS (
        DELETE FROM alerts_delivery WHERE id IN (
            SELECT d.id FROM alerts_delivery d
            WHERE d.created_at < before AND d.state <> 'pending'
            AND NOT (d.state = 'snoozed' AND EXISTS (
                SELECT 1 FROM alerts_alert o WHERE o.org_id = d.org_id AND o.id = d.alert_id AND o.closed_at IS NULL))
            AND NOT (d.kind = 'opened' AND EXISTS (
                SELECT 1 FROM alerts_delivery e JOIN alerts_alert o ON o.org_id = e.org_id AND o.id = e.alert_id
                WHERE e.message_id = d.message_id AND o.closed_at IS NULL))
            LIMIT most) RETURNING 1),
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

-- Whether no run of the pipeline has written a record since this moment.
CREATE OR REPLACE FUNCTION has_no_data_since(of_org uuid, of_pipeline uuid, moment timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = public, pg_temp AS $$
    SELECT NOT EXISTS (
        SELECT 1 FROM runs_run u WHERE u.org_id = of_org AND u.pipeline_id = of_pipeline
        AND u.created_at > moment - interval '7 days' AND u.finished_at > moment
        AND u.status = 'succeeded' AND u.records_written > 0)
$$;

-- Returns the pairs of rule and pipeline for which the clock opens an alert (is_open false), and the open alerts that the
-- clock closes, because their pipeline is not watched any more (is_open true). With `only_pipeline`, only those of this
-- pipeline. Nothing is returned for suspended orgs. See apps/alerts/rule_kinds/late.py and stale.py.
--
-- A pipeline is late from `late_at` on, which considers time zones, pauses and changes of its schedule: see
-- apps/pipelines/schedules/freshness.py. A run that started more than a week before the hours of a stale rule is not considered.
-- Nothing opens within a blackout of the schedule, and its hours do not count for a stale rule.
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
        WHEN in_blackout(s.blackouts, s.timezone, now()) THEN false
        WHEN r.kind = 'late' THEN p.failing_since IS NULL
            AND p.late_at <= now() - make_interval(mins => (r.settings->>'tolerance_minutes')::integer)
        ELSE greatest(p.created_at, p.updated_at, s.updated_at) <= now() - make_interval(hours => (r.settings->>'hours')::integer)
            AND NOT EXISTS (
                SELECT 1 FROM runs_run u WHERE u.org_id = p.org_id AND u.pipeline_id = p.id
                AND u.created_at > now() - make_interval(days => 7, hours => (r.settings->>'hours')::integer)
                AND u.finished_at > now() - make_interval(hours => (r.settings->>'hours')::integer)
                AND u.status = 'succeeded' AND u.records_written > 0)
            AND (s.blackouts IS NULL OR s.blackouts = '[]' OR (
                SELECT greatest(p.created_at, p.updated_at, s.updated_at) <= moment AND has_no_data_since(p.org_id, p.id, moment)
                FROM hours_ago_outside_blackouts((r.settings->>'hours')::integer, s.blackouts, s.timezone) moment)) END
    LIMIT most
$$;

-- Returns what rules find that are about no pipeline, and have not told (alert_id is null), and the open alerts about what
-- they no longer find. With `only_org`, only those of this org. Nothing is returned for suspended orgs. See
-- apps/alerts/rule_kinds/limit_near.py, limit_reached.py, credential_ends.py, no_worker.py and no_storage.py.
--
-- The limits and their use are those of apps/runs/usage/counting.py, without the runs at once.
CREATE OR REPLACE FUNCTION alerts_found_subjects(most integer, max_file_bytes bigint, only_org uuid DEFAULT NULL)
RETURNS TABLE (org_id uuid, rule_id uuid, subject_kind text, subject_key text, facts jsonb, alert_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    WITH orgs AS (
        SELECT * FROM orgs_org WHERE suspended_at IS NULL AND deletion_at IS NULL AND (only_org IS NULL OR id = only_org)
    ), rules AS (
        SELECT r.* FROM alerts_rule r JOIN orgs o ON o.id = r.org_id
        WHERE r.kind IN ('limit_near', 'limit_reached', 'credential_ends', 'no_worker', 'no_storage')
    ), open AS (
        SELECT a.* FROM alerts_alert a JOIN orgs o ON o.id = a.org_id WHERE a.closed_at IS NULL AND a.pipeline_id IS NULL
    ), measures AS MATERIALIZED (
        SELECT o.id AS org_id, m.name, coalesce(m.used, 0) AS used, m.most FROM orgs o
        LEFT JOIN runs_usage u ON u.org_id = o.id AND u.month = date_trunc('month', now() AT TIME ZONE 'UTC')::date
        CROSS JOIN LATERAL (VALUES
            ('rows_month', u.rows, o.max_rows_month),
            ('bytes_month', u.bytes, o.max_bytes_month),
            ('pipelines', CASE WHEN o.max_pipelines IS NOT NULL THEN (
                SELECT count(*) FROM pipelines_pipeline p WHERE p.org_id = o.id) END, o.max_pipelines::bigint),
            ('members', CASE WHEN o.max_members IS NOT NULL THEN (
                SELECT count(*) FROM orgs_membership s JOIN identity_user p ON p.id = s.user_id
                WHERE s.org_id = o.id AND p.kind = 'person') END, o.max_members::bigint),
            ('file_bytes', (
                SELECT sum(f.size)::bigint FROM connectors_uploadedfile f WHERE f.org_id = o.id), max_file_bytes)
        ) m (name, used, most)
        WHERE m.most IS NOT NULL AND o.id IN (SELECT r.org_id FROM rules r WHERE r.kind IN ('limit_near', 'limit_reached'))
    ), found AS (
        SELECT r.org_id, r.id AS rule_id, r.enabled, 'limit' AS kind, m.name AS key,
            jsonb_build_object('used', m.used, 'limit', m.most) AS facts
        FROM rules r JOIN measures m ON m.org_id = r.org_id WHERE CASE r.kind
            WHEN 'limit_near' THEN m.used * 100.0 >= m.most * (r.settings->>'percent')::integer
            WHEN 'limit_reached' THEN m.used >= m.most END
        UNION ALL
        SELECT r.org_id, r.id, r.enabled, 'api_key', k.id::text, jsonb_build_object('name', k.name, 'ends_at', k.expires_at)
        FROM rules r JOIN orgs_apikey k ON k.org_id = r.org_id
        CROSS JOIN LATERAL (SELECT make_interval(days => (r.settings->>'days')::integer) AS time) before
        WHERE r.kind = 'credential_ends' AND k.revoked_at IS NULL AND k.expires_at > now() AND k.expires_at <= now() + before.time
        AND NOT EXISTS (  -- a newer key that ends later
            SELECT 1 FROM orgs_apikey n WHERE n.org_id = k.org_id AND n.name = k.name AND n.created_at > k.created_at
            AND n.revoked_at IS NULL AND (n.expires_at IS NULL OR n.expires_at > k.expires_at))
        AND (k.expires_at > k.created_at + before.time OR EXISTS (  -- a rotated key ends when the one before it would have
            SELECT 1 FROM orgs_apikey n WHERE n.org_id = k.org_id AND n.name = k.name AND n.created_at < k.created_at))
        UNION ALL
        SELECT r.org_id, r.id, r.enabled, 'connector', concat_ws(' ', c.id, e.what, extract(epoch FROM e.ends_at)::bigint),
            jsonb_build_object('id', c.id, 'name', c.name, 'ends_at', e.ends_at, 'what', e.what)
        FROM rules r JOIN connectors_connector c ON c.org_id = r.org_id
        JOIN LATERAL (
            SELECT f.what, to_timestamp(f.at) AS ends_at FROM jsonb_to_recordset(c.ends) f (what text, at bigint)
        ) e ON e.ends_at > now() AND e.ends_at <= now() + make_interval(days => (r.settings->>'days')::integer)
        WHERE r.kind = 'credential_ends'
        UNION ALL
        SELECT r.org_id, r.id, r.enabled, 'runs', 'due', jsonb_build_object('waiting', w.count, 'since', w.since)
        FROM rules r
        CROSS JOIN LATERAL (SELECT make_interval(mins => (r.settings->>'minutes')::integer) AS time) silence
        CROSS JOIN LATERAL (SELECT count(*) AS count, min(due.at) AS since FROM (
            SELECT s.next_run_at AS at FROM pipelines_schedule s
            JOIN pipelines_pipeline p ON p.org_id = s.org_id AND p.id = s.pipeline_id
            WHERE s.org_id = r.org_id AND p.enabled AND s.paused_at IS NULL
            UNION ALL
            SELECT greatest(u.created_at, u.not_before) FROM runs_run u WHERE u.org_id = r.org_id AND u.status = 'pending'
        ) due WHERE due.at <= now() - silence.time) w
        WHERE r.kind = 'no_worker' AND w.count > 0 AND NOT EXISTS (  -- a clock that was set back makes times of the future
            SELECT 1 FROM procrastinate_workers k WHERE abs(extract(epoch FROM now() - k.last_heartbeat)) <= extract(epoch FROM silence.time))
        UNION ALL
        SELECT r.org_id, r.id, r.enabled, 'runs', 'storage', jsonb_build_object('since', away.since)
        FROM rules r
        CROSS JOIN (
            SELECT min(p.began_at) AS since FROM alerts_installationproblem p
            WHERE p.part = 'storage' AND p.told_at IS NOT NULL AND p.ended_at IS NULL) away
        WHERE r.kind = 'no_storage' AND away.since IS NOT NULL AND (
            r.id IN (SELECT o.rule_id FROM open o WHERE o.subject_key = 'storage')  -- it stays open until the storage is back
            OR (away.since <= now() - make_interval(mins => (r.settings->>'minutes')::integer) AND (
                EXISTS (SELECT 1 FROM runs_run u WHERE u.org_id = r.org_id AND u.status = 'failed' AND u.finished_at >= away.since)
                OR EXISTS (SELECT 1 FROM runs_run u WHERE u.org_id = r.org_id AND u.status = 'pending' AND u.attempt > 0)
                OR EXISTS (SELECT 1 FROM runs_run u WHERE u.org_id = r.org_id AND u.status = 'running' AND u.attempt > 1))))
    )
    SELECT coalesce(f.org_id, a.org_id), coalesce(f.rule_id, a.rule_id), coalesce(f.kind, a.subject_kind),
        coalesce(f.key, a.subject_key), f.facts, a.id
    FROM found f FULL JOIN open a ON a.rule_id = f.rule_id AND a.subject_kind = f.kind AND a.subject_key = f.key
    WHERE f.rule_id IS NULL OR (a.id IS NULL AND f.enabled)
    LIMIT most
$$;

-- Returns the incidents that are open at PagerDuty or Opsgenie although none of their alerts is open and told to the channel any
-- more. It is the condition of `is_open` in apps/alerts/sending/incidents.py. Nothing is returned for suspended orgs.
CREATE OR REPLACE FUNCTION alerts_ended_incidents(most integer) RETURNS TABLE (org_id uuid, channel_id uuid, message_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.org_id, i.channel_id, i.message_id FROM (
        SELECT DISTINCT d.org_id, d.channel_id, d.message_id FROM alerts_delivery d WHERE d.incident_open) i
    JOIN alerts_channel c ON c.org_id = i.org_id AND c.id = i.channel_id AND c.enabled
    JOIN orgs_org o ON o.id = i.org_id AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    WHERE NOT EXISTS (
        SELECT 1 FROM alerts_delivery d
        JOIN alerts_alert a ON a.org_id = d.org_id AND a.id = d.alert_id AND a.closed_at IS NULL
        JOIN alerts_rule r ON r.org_id = a.org_id AND r.id = a.rule_id AND r.enabled
        JOIN alerts_rulechannel l ON l.org_id = a.org_id AND l.rule_id = r.id AND l.channel_id = i.channel_id
        WHERE d.org_id = i.org_id AND d.channel_id = i.channel_id AND d.message_id = i.message_id)
    LIMIT most
$$;

-- Returns the orgs in which a snooze has ended, or an alert is open whose deliveries are snoozed although nothing snoozes it any more.
CREATE OR REPLACE FUNCTION alerts_snoozes_over(most integer) RETURNS TABLE (org_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT f.org_id FROM (
        SELECT s.org_id FROM alerts_snooze s WHERE s.until <= statement_timestamp()
        UNION
        SELECT d.org_id FROM alerts_delivery d
        JOIN alerts_alert a ON a.org_id = d.org_id AND a.id = d.alert_id AND a.closed_at IS NULL
        WHERE d.state = 'snoozed' AND NOT EXISTS (
            SELECT 1 FROM alerts_snooze s WHERE s.org_id = d.org_id AND (s.rule_id = a.rule_id OR s.alert_id = a.id)
            AND s.until > statement_timestamp())
    ) f
    JOIN orgs_org o ON o.id = f.org_id AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    LIMIT most
$$;
