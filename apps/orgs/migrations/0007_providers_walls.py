from django.db import migrations

from apps.orgs.walls import rls

# A user who enters the slug of an org to log in has no session yet, so this function finds the org.
BY_SLUG = """
CREATE FUNCTION org_with_provider(wanted text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT o.id FROM orgs_org o JOIN orgs_identityprovider p ON p.org_id = o.id AND p.enabled
    WHERE o.slug = wanted
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0006_providers")]

    operations = [
        rls.protect("orgs_identityprovider"),
        rls.protect("orgs_federatedidentity"),
        rls.same_org(
            "orgs_federatedidentity", "membership_id", "orgs_membership", on_delete="CASCADE"
        ),
        migrations.RunSQL(BY_SLUG, "DROP FUNCTION org_with_provider(text);"),
    ]
