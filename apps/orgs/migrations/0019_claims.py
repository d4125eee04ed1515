from django.db import migrations, models

from apps.auth import names

# Sessions of an org's issuer show the issuer's claims. Earlier sessions have no stored claims, so end them.
END_SESSIONS = "UPDATE identity_refreshfamily SET revoked_at = now() WHERE only_org IS NOT NULL AND revoked_at IS NULL"


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
            "federatedidentity", names.plain_text_check("name", name="orgs_federated_name_plain")
        ),
        migrations.RunSQL(END_SESSIONS, migrations.RunSQL.noop),
    ]
