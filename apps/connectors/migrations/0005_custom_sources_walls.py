from django.db import migrations

from apps.orgs.walls import rls

SOURCE = "connectors_customsource"


class Migration(migrations.Migration):
    dependencies = [("connectors", "0004_custom_sources"), ("orgs", "0013_names")]

    operations = [
        rls.protect(SOURCE),
        rls.protect("connectors_customsourceversion"),
        rls.same_org("connectors_customsourceversion", "source_id", SOURCE, on_delete="CASCADE"),
        rls.same_org("connectors_connector", "custom_source_id", SOURCE),
    ]
