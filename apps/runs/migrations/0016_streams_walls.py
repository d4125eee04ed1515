from django.db import migrations

from apps.orgs.walls import rls

STREAM = "runs_runstream"


class Migration(migrations.Migration):
    dependencies = [("runs", "0015_streams_of_runs")]

    operations = [
        rls.protect(STREAM),
        rls.same_org(STREAM, "run_id", "runs_run", on_delete="CASCADE"),
    ]
