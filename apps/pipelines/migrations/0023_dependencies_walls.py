from django.db import migrations

from apps.orgs.walls import rls

RUN_AFTER, DEPENDENCY, PIPELINE = "pipelines_runafter", "pipelines_dependency", "pipelines_pipeline"


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0022_dependencies")]

    operations = [
        rls.protect(RUN_AFTER),
        rls.protect(DEPENDENCY),
        rls.same_org(RUN_AFTER, "pipeline_id", PIPELINE, on_delete="CASCADE"),
        rls.same_org(DEPENDENCY, "pipeline_id", PIPELINE, on_delete="CASCADE"),
        rls.same_org(DEPENDENCY, "upstream_id", PIPELINE, on_delete="CASCADE"),
    ]
