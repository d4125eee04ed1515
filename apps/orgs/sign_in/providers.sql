-- Returns the id of the org with this slug if its own identity provider is enabled. It is SECURITY DEFINER because the
-- user has not logged in yet.
CREATE OR REPLACE FUNCTION org_with_provider(wanted text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id FROM orgs_org o JOIN orgs_identityprovider p ON p.org_id = o.id AND p.enabled
    WHERE o.slug = wanted
$$;
