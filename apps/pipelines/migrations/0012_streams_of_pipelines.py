from typing import Any

import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

import apps.auth.models

BATCH = 500


def copy_streams(apps: Any, schema_editor: Any) -> None:
    """Create a row for the stream of each pipeline, with the pipeline's target."""
    PipelineStream = apps.get_model("pipelines", "PipelineStream")
    pipelines = apps.get_model("pipelines", "Pipeline")._base_manager.order_by("pk")
    rows = (
        PipelineStream(
            org_id=pipeline.org_id,
            pipeline_id=pipeline.pk,
            position=0,
            name=pipeline.stream,
            target=pipeline.target,
            owns_target=pipeline.owns_target,
        )
        for pipeline in pipelines.iterator()
    )
    PipelineStream._base_manager.bulk_create(rows, batch_size=BATCH)


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0011_own_databases"), ("orgs", "0025_plain_sql_comments")]

    operations = [
        migrations.CreateModel(
            "PipelineStream",
            [
                (
                    "id",
                    models.UUIDField(
                        default=apps.auth.models.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("position", models.PositiveIntegerField()),
                ("name", models.CharField(max_length=200)),
                ("target", models.CharField(blank=True, max_length=64)),
                ("owns_target", models.BooleanField(default=True)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                    ),
                ),
                (
                    "pipeline",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="pipelines.pipeline",
                    ),
                ),
            ],
            {"abstract": False, "base_manager_name": "unscoped"},
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        migrations.AddField(
            "pipeline",
            "stream_count",
            models.PositiveIntegerField(db_default=1, default=1),
        ),
        migrations.RunPython(copy_streams, migrations.RunPython.noop),
    ]
