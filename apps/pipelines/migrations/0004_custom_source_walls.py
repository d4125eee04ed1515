from django.db import migrations

from apps.orgs.walls import rls


class Migration(migrations.Migration):
    dependencies = [
        ("pipelines", "0003_custom_source"),
        ("connectors", "0005_custom_sources_walls"),
    ]

    operations = [
        rls.same_org("pipelines_pipeline", "custom_source_id", "connectors_customsource"),
    ]
