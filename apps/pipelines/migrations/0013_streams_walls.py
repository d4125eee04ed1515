from django.db import migrations, models

from apps.orgs.walls import rls

STREAM = "pipelines_pipelinestream"


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0012_streams_of_pipelines")]

    operations = [
        migrations.RemoveConstraint("pipeline", "pipelines_pipeline_target"),
        migrations.RemoveIndex("pipeline", "pipelines_targets"),
        migrations.RemoveField("pipeline", "target"),
        migrations.RemoveField("pipeline", "owns_target"),
        migrations.AddIndex(
            "pipelinestream",
            models.Index(
                fields=["org", "target"], name="pipelines_targets", condition=~models.Q(target="")
            ),
        ),
        migrations.AddConstraint(
            "pipelinestream",
            models.UniqueConstraint(
                fields=["org", "pipeline", "name"], name="pipelines_stream_name"
            ),
        ),
        migrations.AddConstraint(
            "pipelinestream",
            models.UniqueConstraint(
                condition=models.Q(owns_target=True) & ~models.Q(target=""),
                fields=["org", "target"],
                name="pipelines_stream_target",
            ),
        ),
        rls.protect(STREAM),
        rls.same_org(STREAM, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
    ]
