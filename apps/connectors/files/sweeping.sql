-- Returns the orgs whose uploads have ended an hour ago or were lost, or whose files have an expired claim.
CREATE OR REPLACE FUNCTION connectors_orgs_with_old_uploads() RETURNS TABLE (org_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT u.org_id FROM connectors_fileupload u
    WHERE u.created_at < now() - interval '1 hour' AND u.alive_until < now() - interval '1 hour'
    UNION
    SELECT f.org_id FROM connectors_uploadedfile f WHERE f.claim IS NOT NULL AND f.claimed_until < now()
$$;
