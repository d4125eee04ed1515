-- Returns the data that every request needs first: the membership, the org, and how the user logged in, which the
-- access rules of the org need. It is written in PL/pgSQL, because a database session caches the plans of PL/pgSQL
-- functions, and planning this statement takes longer than running it. It runs with the rights of the caller, so
-- row-level security applies.
CREATE OR REPLACE FUNCTION org_access(wanted_org uuid, wanted_user uuid, wanted_session uuid)
RETURNS TABLE (
    membership_id uuid, role varchar, email varchar, token_version integer, domain_roles json,
    session_org uuid, second_factor boolean, org orgs_org)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT m.id, m.role, u.email, u.token_version,
           CASE WHEN m.role IN ('viewer', 'member') THEN (
               SELECT json_object_agg(r.domain_id, r.role) FROM orgs_domainrole r
               WHERE r.org_id = m.org_id AND r.membership_id = m.id) END,
           f.only_org, f.second_factor_at IS NOT NULL,
           o
    FROM orgs_membership m
    JOIN identity_user u ON u.id = m.user_id AND u.is_active
    JOIN orgs_org o ON o.id = m.org_id
    LEFT JOIN identity_refreshfamily f ON f.id = wanted_session
    WHERE m.org_id = wanted_org AND m.user_id = wanted_user
      AND (wanted_session IS NULL OR (
          f.user_id = wanted_user AND f.revoked_at IS NULL
          AND (f.only_org IS NULL OR f.only_org = wanted_org)));
END $$;

-- Returns the row of the API key with this prefix. It is SECURITY DEFINER because the org is not known yet.
CREATE OR REPLACE FUNCTION auth_key_by_prefix(wanted text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT jsonb_build_object(
        'id', k.id, 'org_id', k.org_id, 'name', k.name, 'hash', k.hash, 'tag', encode(k.tag, 'hex'),
        'version', k.version, 'role', k.role, 'scopes', k.scopes, 'domain_id', k.domain_id,
        'created_by_id', k.created_by_id, 'expires_at', k.expires_at, 'last_used_at', k.last_used_at,
        'revoked_at', k.revoked_at)
    FROM orgs_apikey k WHERE k.prefix = wanted
$$;

-- Records that a key was used now. If another transaction has locked the row of the key, it records nothing.
CREATE OR REPLACE FUNCTION auth_key_used(key_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_apikey SET last_used_at = now()
    WHERE id = (SELECT k.id FROM orgs_apikey k WHERE k.id = key_id FOR NO KEY UPDATE SKIP LOCKED)
$$;
