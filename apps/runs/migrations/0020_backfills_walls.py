from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

BACKFILL, RUN = "runs_backfill", "runs_run"


class Migration(migrations.Migration):
    dependencies = [("runs", "0019_backfills")]

    operations = [
        rls.protect(BACKFILL),
        rls.same_org(BACKFILL, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        rls.same_org(RUN, "backfill_id", BACKFILL, on_delete="SET NULL (backfill_id)"),
        InstallFunctions({"runs/scheduling.sql": "5a1e67990d89"}),
    ]
