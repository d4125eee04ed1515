import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

import apps.auth.models
from apps.orgs.walls import rls

# The hourly task checks domains of all orgs without a scope, so this function returns only ids.
DUE = """
CREATE FUNCTION verified_domains_due(before timestamptz, most integer) RETURNS TABLE (org_id uuid, domain_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT d.org_id, d.id FROM orgs_verifieddomain d
    WHERE d.verified_at IS NOT NULL AND d.checked_at < before ORDER BY d.checked_at LIMIT most
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0019_claims")]

    operations = [
        migrations.CreateModel(
            name="VerifiedDomain",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=apps.auth.models.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("domain", models.CharField(max_length=253)),
                ("token", models.CharField(max_length=64)),
                ("verified_at", models.DateTimeField(blank=True, null=True)),
                ("missing_since", models.DateTimeField(blank=True, null=True)),
                ("checked_at", models.DateTimeField(blank=True, null=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("updated_at", models.DateTimeField(auto_now=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "unscoped",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org", "domain"), name="orgs_verifieddomain_once"
                    ),
                    models.UniqueConstraint(
                        condition=models.Q(("verified_at__isnull", False)),
                        fields=("domain",),
                        name="orgs_verifieddomain_owner",
                    ),
                ],
            },
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        rls.protect("orgs_verifieddomain"),
        migrations.RunSQL(DUE, "DROP FUNCTION verified_domains_due(timestamptz, integer);"),
    ]
