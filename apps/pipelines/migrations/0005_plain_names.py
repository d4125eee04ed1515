from django.db import migrations, models

from apps.auth.name_cleaning import clean

# What no name of any script needs: control, format and bidi characters.
NOT_STORED = (
    "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E"
    "\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
)


def plain(model: str, field: str, name: str) -> migrations.AddConstraint:
    rule = models.Q(**{f"{field}__regex": NOT_STORED})
    return migrations.AddConstraint(model, models.CheckConstraint(condition=~rule, name=name))


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0004_custom_source_walls")]

    operations = [
        clean("pipelines_pipeline", name=120),
        clean("pipelines_pipelineversion", note=200),
        clean("pipelines_schedule", paused_note=200),
        plain("pipeline", "name", "pipelines_pipeline_name_plain"),
        plain("pipelineversion", "note", "pipelines_version_note_plain"),
        plain("schedule", "paused_note", "pipelines_schedule_note_plain"),
    ]
