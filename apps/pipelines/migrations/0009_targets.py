from collections.abc import Iterator
from typing import Any

from django.db import migrations, models

from apps.engine.targets import target_of

BATCH = 500


def set_targets(apps: Any, schema_editor: Any) -> None:
    """Set the targets of all pipelines. Of the pipelines that share a table, the oldest one owns it."""
    Pipeline = apps.get_model("pipelines", "Pipeline")._base_manager
    owned: set[tuple[Any, str]] = set()
    rows = []
    for pipeline, target in pipelines_with_targets(apps):
        pipeline.target = target
        pipeline.owns_target = (pipeline.org_id, target) not in owned
        owned.add((pipeline.org_id, target))
        rows.append(pipeline)
    Pipeline.bulk_update(rows, ["target", "owns_target"], batch_size=BATCH)


def pipelines_with_targets(apps: Any) -> Iterator[tuple[Any, str]]:
    """Yield the pipelines whose table another pipeline may write, oldest first."""
    Pipeline = apps.get_model("pipelines", "Pipeline")._base_manager
    version_rows = apps.get_model("pipelines", "PipelineVersion")._base_manager
    for pipeline in Pipeline.select_related("destination_connector").order_by("created_at", "id"):
        definitions = version_rows.filter(pipeline_id=pipeline.pk, number=pipeline.version)
        definition = definitions.values_list("definition", flat=True).first()
        if definition is None:
            continue
        connector = pipeline.destination_connector
        config = connector.config if connector else definition["destination"]["config"]
        table = definition["streams"][0]["table"]
        if target := target_of(pipeline.destination_kind, config or {}, table):
            yield pipeline, target


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0008_streams")]

    operations = [
        migrations.AddField(
            "pipeline",
            "target",
            models.CharField(blank=True, db_default="", editable=False, max_length=64),
        ),
        migrations.AddField(
            "pipeline",
            "owns_target",
            models.BooleanField(db_default=True, default=True, editable=False),
        ),
        migrations.RunPython(set_targets, migrations.RunPython.noop),
    ]
