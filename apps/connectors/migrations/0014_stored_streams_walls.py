from django.db import migrations

from apps.orgs.walls import rls

DISCOVERY = "connectors_discovery"


class Migration(migrations.Migration):
    dependencies = [("connectors", "0013_stored_streams")]

    operations = [
        rls.protect(DISCOVERY),
        rls.same_org(DISCOVERY, "connector_id", "connectors_connector", on_delete="CASCADE"),
    ]
