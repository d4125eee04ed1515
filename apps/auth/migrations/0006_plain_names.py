from django.db import migrations, models

from apps.auth.name_cleaning import clean

# Control, format and bidirectional characters, which no name of any script needs.
NOT_STORED = (
    "[\\u0001-\\u001F\\u007F-\\u009F\\u00AD\\u061C\\u180E\\u200B\\u200E\\u200F\\u2028-\\u202E"
    "\\u2060-\\u206F\\uFEFF\\uFFF9-\\uFFFB\\U000E0000-\\U000E007F]"
)


def plain(model: str, field: str, name: str) -> migrations.AddConstraint:
    rule = models.Q(**{f"{field}__regex": NOT_STORED})
    return migrations.AddConstraint(model, models.CheckConstraint(condition=~rule, name=name))


class Migration(migrations.Migration):
    dependencies = [("identity", "0005_proof_version")]

    operations = [
        clean("identity_user", name=120),
        clean("identity_refreshfamily", user_agent=200),
        plain("user", "name", "identity_user_name_plain"),
        plain("refreshfamily", "user_agent", "identity_session_agent_plain"),
    ]
