from django.db import migrations, models

from apps.auth.name_cleaning import clean_texts

# What no text needs: control, format and bidi characters, but for tabs and ends of lines.
NOT_STORED = (
    "[\\u0001-\\u0008\\u000B-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E"
    "\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
)


def plain(model: str, field: str, name: str) -> migrations.AddConstraint:
    rule = models.Q(**{f"{field}__regex": NOT_STORED})
    return migrations.AddConstraint(model, models.CheckConstraint(condition=~rule, name=name))


class Migration(migrations.Migration):
    dependencies = [("connectors", "0009_plain_texts")]

    operations = [
        clean_texts("connectors_connector", "description", longest=1000),
        clean_texts("connectors_customsource", "description", longest=1000),
        plain("connector", "description", "connectors_connector_text_plain"),
        plain("customsource", "description", "connectors_custom_text_plain"),
    ]
