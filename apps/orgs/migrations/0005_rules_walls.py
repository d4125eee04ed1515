from django.db import migrations

from apps.orgs.walls import rls

# The function of 0003, which now also returns how the user logged in. The access rules of the org need this.
ACCESS = """
DROP FUNCTION org_access(uuid, uuid, uuid);
CREATE FUNCTION org_access(wanted_org uuid, wanted_user uuid, wanted_session uuid)
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
"""
OLD_ACCESS = """
DROP FUNCTION org_access(uuid, uuid, uuid);
CREATE FUNCTION org_access(wanted_org uuid, wanted_user uuid, wanted_session uuid)
RETURNS TABLE (
    membership_id uuid, role varchar, email varchar, token_version integer, domain_roles json, org orgs_org)
LANGUAGE plpgsql STABLE AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT m.id, m.role, u.email, u.token_version,
           CASE WHEN m.role IN ('viewer', 'member') THEN (
               SELECT json_object_agg(r.domain_id, r.role) FROM orgs_domainrole r
               WHERE r.org_id = m.org_id AND r.membership_id = m.id) END,
           o
    FROM orgs_membership m
    JOIN identity_user u ON u.id = m.user_id AND u.is_active
    JOIN orgs_org o ON o.id = m.org_id
    WHERE m.org_id = wanted_org AND m.user_id = wanted_user
      AND (wanted_session IS NULL OR EXISTS (
          SELECT 1 FROM identity_refreshfamily f
          WHERE f.id = wanted_session AND f.user_id = wanted_user AND f.revoked_at IS NULL));
END $$;
"""

# The user who opens the link of an invitation is not a member yet, so this function finds the invitation by its digest.
INVITATION = """
CREATE FUNCTION invitation_by_digest(wanted bytea) RETURNS TABLE (org_id uuid, invitation_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT i.org_id, i.id FROM orgs_invitation i WHERE i.digest = wanted
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0004_rules"), ("identity", "0002_account")]

    operations = [
        rls.protect("orgs_invitation"),
        migrations.RunSQL(ACCESS, OLD_ACCESS),
        migrations.RunSQL(INVITATION, "DROP FUNCTION invitation_by_digest(bytea);"),
    ]
