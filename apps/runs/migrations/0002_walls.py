from django.db import migrations

from apps.orgs.walls import rls

RUN = "runs_run"
PARTS = ("runs_attempt", "runs_event", "runs_logpart", "runs_output")


class Migration(migrations.Migration):
    dependencies = [("runs", "0001_initial"), ("pipelines", "0002_walls")]

    operations = [
        rls.protect(RUN),
        *(rls.protect(table) for table in PARTS),
        rls.same_org(RUN, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        rls.same_org(RUN, "schedule_id", "pipelines_schedule", on_delete="SET NULL (schedule_id)"),
        *(rls.same_org(table, "run_id", RUN, on_delete="CASCADE") for table in PARTS),
    ]
