-- Returns the org of the enabled freshness page with this digest, or null. It is SECURITY DEFINER because the readers of a page
-- have no org. The pages of suspended organizations, and of those that will be deleted, are not shown.
CREATE OR REPLACE FUNCTION org_of_freshness_page(wanted bytea) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT f.org_id FROM alerts_freshnesspage f
    JOIN orgs_org o ON o.id = f.org_id AND o.suspended_at IS NULL AND o.deletion_at IS NULL
    WHERE f.digest = wanted AND f.enabled
$$;
