from django.db import migrations

from apps.orgs.walls import rls

TABLES = ("pipelines_sourcestream", "pipelines_sourcechange")


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0015_source_changes")]

    operations = [
        operation
        for table in TABLES
        for operation in (
            rls.protect(table),
            rls.same_org(table, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        )
    ]
