from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

PAGE, ENTRY = "alerts_freshnesspage", "alerts_freshnesspagepipeline"


class Migration(migrations.Migration):
    dependencies = [("alerts", "0007_freshness_pages")]

    operations = [
        rls.protect(PAGE),
        rls.protect(ENTRY),
        rls.same_org(ENTRY, "page_id", PAGE, on_delete="CASCADE"),
        rls.same_org(ENTRY, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        InstallFunctions({"alerts/freshness_pages/freshness_pages.sql": "54762592bee5"}),
    ]
