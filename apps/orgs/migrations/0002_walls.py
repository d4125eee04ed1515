from django.db import migrations

from apps.orgs.walls import rls

# Logging in and switching read memberships and orgs before an org is chosen. So the policies let users read their own
# rows without a scope. Writing needs the scope of the org.
MEMBERSHIP = """
ALTER TABLE orgs_membership ADD CONSTRAINT orgs_membership_org_key UNIQUE (org_id, id);
ALTER TABLE orgs_membership ENABLE ROW LEVEL SECURITY;
CREATE POLICY org_isolation ON orgs_membership TO app_user
    USING (org_id = (SELECT app_org_or_null())) WITH CHECK (org_id = (SELECT app_org_or_null()));
CREATE POLICY own ON orgs_membership FOR SELECT TO app_user USING (user_id = (SELECT app_user_or_null()));
CREATE POLICY operators ON orgs_membership TO app_ops USING (true) WITH CHECK (true);

ALTER TABLE orgs_org ENABLE ROW LEVEL SECURITY;
CREATE POLICY org_isolation ON orgs_org TO app_user
    USING (id = (SELECT app_org_or_null())) WITH CHECK (id = (SELECT app_org_or_null()));
CREATE POLICY own ON orgs_org FOR SELECT TO app_user
    USING (id IN (SELECT org_id FROM orgs_membership WHERE user_id = (SELECT app_user_or_null())));
CREATE POLICY operators ON orgs_org TO app_ops USING (true) WITH CHECK (true);
"""

# auth_key_by_prefix finds the row of an API key before the org is known. The fixed search_path prevents callers from
# replacing its tables.
KEY_BY_PREFIX = """
CREATE FUNCTION auth_key_by_prefix(wanted text) RETURNS jsonb
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT jsonb_build_object(
        'id', k.id, 'org_id', k.org_id, 'name', k.name, 'hash', k.hash, 'tag', encode(k.tag, 'hex'),
        'version', k.version, 'role', k.role, 'scopes', k.scopes, 'domain_id', k.domain_id,
        'created_by_id', k.created_by_id, 'expires_at', k.expires_at, 'last_used_at', k.last_used_at,
        'revoked_at', k.revoked_at)
    FROM orgs_apikey k WHERE k.prefix = wanted
$$;
CREATE FUNCTION auth_key_used(key_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_apikey SET last_used_at = now() WHERE id = key_id
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0001_initial")]

    operations = [
        rls.functions(),
        migrations.RunSQL(MEMBERSHIP, migrations.RunSQL.noop),
        migrations.RunSQL(
            KEY_BY_PREFIX,
            "DROP FUNCTION auth_key_by_prefix(text); DROP FUNCTION auth_key_used(uuid);",
        ),
        rls.protect("orgs_domain"),
        rls.protect("orgs_domainrole"),
        rls.protect("orgs_apikey"),
        rls.protect("orgs_auditevent"),
        rls.protect("orgs_idempotencyrecord"),
        rls.same_org("orgs_domainrole", "domain_id", "orgs_domain", on_delete="CASCADE"),
        rls.same_org("orgs_domainrole", "membership_id", "orgs_membership", on_delete="CASCADE"),
        rls.same_org("orgs_apikey", "domain_id", "orgs_domain", on_delete="CASCADE"),
        rls.append_only("orgs_auditevent"),
    ]
