-- Whoever types an org's short name to sign in is not a member of it yet: answers its id if it has a provider.
CREATE OR REPLACE FUNCTION org_with_provider(wanted text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id FROM orgs_org o JOIN orgs_identityprovider p ON p.org_id = o.id AND p.enabled
    WHERE o.slug = wanted
$$;
