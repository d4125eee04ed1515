from django.db import migrations, models

from apps.auth import names

# Sessions that an org's issuer began are told what it says. It has not been kept, so they begin anew.
END = "UPDATE identity_refreshfamily SET revoked_at = now() WHERE only_org IS NOT NULL AND revoked_at IS NULL"


class Migration(migrations.Migration):
    dependencies = [("orgs", "0018_scim_claims"), ("identity", "0005_proof_version")]

    operations = [
        migrations.AddField(
            model_name="federatedidentity",
            name="email",
            field=models.EmailField(blank=True, db_default="", max_length=254),
        ),
        migrations.AddField(
            model_name="federatedidentity",
            name="name",
            field=models.CharField(blank=True, db_default="", max_length=120),
        ),
        migrations.AddConstraint(
            "federatedidentity", names.plain("name", name="orgs_federated_name_plain")
        ),
        migrations.RunSQL(END, migrations.RunSQL.noop),
    ]
