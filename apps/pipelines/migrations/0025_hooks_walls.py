from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

HOOK, CALL = "pipelines_hook", "pipelines_hookcall"


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0024_hooks")]

    operations = [
        rls.protect(HOOK),
        rls.protect(CALL),
        rls.same_org(HOOK, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        rls.same_org(CALL, "hook_id", HOOK, on_delete="CASCADE"),
        InstallFunctions({"pipelines/hooks/hooks.sql": "6edec76d332e"}),
    ]
