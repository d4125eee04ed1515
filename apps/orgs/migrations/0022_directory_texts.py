from django.db import migrations, models

from apps.auth.name_cleaning import clean, clean_json

# Control, format and bidirectional characters, which no name of any script needs.
NOT_STORED = (
    "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E"
    "\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
)


def plain(model: str, field: str, name: str) -> migrations.AddConstraint:
    rule = models.Q(**{f"{field}__regex": NOT_STORED})
    return migrations.AddConstraint(model, models.CheckConstraint(condition=~rule, name=name))


class Migration(migrations.Migration):
    dependencies = [("orgs", "0021_unanswered_domains")]

    operations = [
        clean("orgs_scimuser", external_id=200),
        clean("orgs_scimgroup", external_id=200),
        clean_json("orgs_scimuser", "claims"),
        plain("scimuser", "external_id", "orgs_scimuser_external_plain"),
        plain("scimgroup", "external_id", "orgs_scimgroup_external_plain"),
    ]
