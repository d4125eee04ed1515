-- Returns the pipelines for whose files a worker has to look now. It looks for none of suspended orgs. There is at most a day
-- between two looks, so a later time was stored by a computer whose clock was wrong.
CREATE OR REPLACE FUNCTION file_watches_due(most integer) RETURNS TABLE (org_id uuid, pipeline_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT w.org_id, w.pipeline_id FROM pipelines_filewatch w
    JOIN orgs_org o ON o.id = w.org_id AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    WHERE w.next_look_at <= statement_timestamp() OR w.next_look_at > statement_timestamp() + interval '2 days'
    ORDER BY w.next_look_at LIMIT most
$$;
