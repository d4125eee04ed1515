-- Returns the channels to which something has to be sent now: a message again, or new events. New events of a pipeline wait
-- while a message with an earlier event of this pipeline is being sent again. Nothing is sent for suspended orgs.
CREATE OR REPLACE FUNCTION alerts_channels_due(most integer) RETURNS TABLE (org_id uuid, channel_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT DISTINCT d.org_id, d.channel_id FROM alerts_delivery d
    JOIN alerts_channel c ON c.org_id = d.org_id AND c.id = d.channel_id
    JOIN orgs_org o ON o.id = d.org_id
    WHERE d.state = 'pending' AND d.next_attempt_at <= statement_timestamp() AND c.enabled
    AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    AND (d.message_id IS NOT NULL OR (
        (c.grouped_until IS NULL OR c.grouped_until <= statement_timestamp()) AND NOT EXISTS (
            SELECT 1 FROM alerts_delivery e WHERE e.channel_id = d.channel_id AND e.pipeline_id = d.pipeline_id
            AND e.state = 'pending' AND e.message_id IS NOT NULL)))
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
