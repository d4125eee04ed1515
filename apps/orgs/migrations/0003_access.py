from django.db import migrations

# Every request calls this function first. It is written in PL/pgSQL, because a database session caches the plans of
# PL/pgSQL functions, and planning this statement takes longer than running it. It runs with the rights of the caller,
# so row-level security applies.
ACCESS = """
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


class Migration(migrations.Migration):
    dependencies = [("orgs", "0002_walls"), ("identity", "0001_initial")]

    operations = [
        migrations.RunSQL(ACCESS, "DROP FUNCTION org_access(uuid, uuid, uuid);"),
    ]
