from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

UPSTREAM_RUN, PIPELINE = "runs_upstreamrun", "pipelines_pipeline"


class Migration(migrations.Migration):
    dependencies = [("runs", "0027_dependencies"), ("pipelines", "0023_dependencies_walls")]

    operations = [
        rls.protect(UPSTREAM_RUN),
        rls.same_org(UPSTREAM_RUN, "run_id", "runs_run", on_delete="CASCADE"),
        rls.same_org(UPSTREAM_RUN, "pipeline_id", PIPELINE, on_delete="CASCADE"),
        rls.same_org(UPSTREAM_RUN, "upstream_id", PIPELINE, on_delete="CASCADE"),
        InstallFunctions({"runs/dependents/dependents.sql": "2fc7ec2598ef"}),
    ]
