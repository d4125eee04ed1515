from django.db import migrations, models
from django.db.models.lookups import Regex

from apps.auth.name_cleaning import clean_lists, clean_texts

# What no name of any script needs: control, format and bidi characters; a description has tabs and ends of lines.
UNSEEN = (
    "\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E"
    "\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
)
IN_NAMES = f"[\\u0001-\\u001F{UNSEEN}"
IN_LINES = f"[\\u0001-\\u0008\\u000B-\\u001F{UNSEEN}"
TAGS = models.Func(
    models.F("tags"),
    models.Value(" "),
    function="array_to_string",
    output_field=models.TextField(),
)


def checked(rule: models.Q, name: str) -> migrations.AddConstraint:
    return migrations.AddConstraint("pipeline", models.CheckConstraint(condition=~rule, name=name))


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0006_plain_texts")]

    operations = [
        clean_lists("pipelines_pipeline", "tags", longest=50),
        clean_texts("pipelines_pipeline", "description", longest=1000),
        checked(models.Q(description__regex=IN_LINES), "pipelines_pipeline_text_plain"),
        checked(models.Q(Regex(TAGS, IN_NAMES)), "pipelines_pipeline_tags_plain"),
    ]
