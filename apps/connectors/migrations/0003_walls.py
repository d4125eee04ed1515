from django.db import migrations

from apps.orgs.walls import rls


class Migration(migrations.Migration):
    dependencies = [("connectors", "0002_owners"), ("orgs", "0002_walls")]

    operations = [
        rls.protect("connectors_connector"),
        rls.same_org(
            "connectors_connector", "domain_id", "orgs_domain", on_delete="SET NULL (domain_id)"
        ),
    ]
