from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

FOLLOW_UP, CALL = "alerts_followup", "alerts_followupcall"


class Migration(migrations.Migration):
    dependencies = [("alerts", "0015_follow_ups")]

    operations = [
        rls.protect(FOLLOW_UP),
        rls.protect(CALL),
        rls.same_org(FOLLOW_UP, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        rls.same_org(CALL, "follow_up_id", FOLLOW_UP, on_delete="CASCADE"),
        InstallFunctions({"alerts/follow_ups/follow_ups.sql": "2ab4ef46d175"}),
    ]
