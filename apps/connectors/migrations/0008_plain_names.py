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
    dependencies = [("connectors", "0007_repository_walls")]

    operations = [
        clean("connectors_repository", path=300, username=100, author=200, subject=200),
        clean("connectors_customsource", name=120, repository_path=500),
        clean("connectors_customsourceversion", note=200, author=200),
        clean("connectors_connector", name=120),
        plain("repository", "path", "connectors_repository_path_plain"),
        plain("repository", "username", "connectors_repository_user_plain"),
        plain("repository", "author", "connectors_repository_author_plain"),
        plain("repository", "subject", "connectors_repository_subject_plain"),
        plain("customsource", "name", "connectors_custom_name_plain"),
        plain("customsource", "repository_path", "connectors_custom_path_plain"),
        plain("customsourceversion", "note", "connectors_custom_note_plain"),
        plain("customsourceversion", "author", "connectors_custom_author_plain"),
        plain("connector", "name", "connectors_connector_name_plain"),
    ]
