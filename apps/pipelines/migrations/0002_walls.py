from django.db import migrations

from apps.orgs.walls import rls

PIPELINE = "pipelines_pipeline"


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0001_initial"), ("connectors", "0003_walls")]

    operations = [
        rls.protect(PIPELINE),
        rls.protect("pipelines_pipelineversion"),
        rls.protect("pipelines_schedule"),
        rls.same_org(PIPELINE, "domain_id", "orgs_domain", on_delete="SET NULL (domain_id)"),
        rls.same_org(PIPELINE, "source_connector_id", "connectors_connector"),
        rls.same_org(PIPELINE, "destination_connector_id", "connectors_connector"),
        rls.same_org("pipelines_pipelineversion", "pipeline_id", PIPELINE, on_delete="CASCADE"),
        rls.same_org("pipelines_schedule", "pipeline_id", PIPELINE, on_delete="CASCADE"),
    ]
