from django.db import migrations

from apps.orgs.walls import rls

WATCH = "pipelines_filewatch"


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0027_file_watches")]

    operations = [
        rls.protect(WATCH),
        rls.same_org(WATCH, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
    ]
