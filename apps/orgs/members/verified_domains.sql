-- Returns the ids of up to `most` verified domains of all orgs that were last checked before this time.
CREATE OR REPLACE FUNCTION verified_domains_due(before timestamptz, most integer) RETURNS TABLE (org_id uuid, domain_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.org_id, d.id FROM orgs_verifieddomain d
    WHERE d.verified_at IS NOT NULL AND d.checked_at < before ORDER BY d.checked_at LIMIT most
$$;
