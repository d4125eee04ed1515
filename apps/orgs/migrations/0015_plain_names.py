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
    dependencies = [("orgs", "0014_given_up_addresses")]

    operations = [
        clean("orgs_org", name=120, suspended_because=500),
        clean("orgs_domain", name=80),
        clean("orgs_scimuser", user_name=254, display_name=200),
        clean("orgs_scimgroup", display_name=200),
        clean("orgs_apikey", name=120),
        clean("orgs_supportaccess", reason=500),
        plain("org", "name", "orgs_org_name_plain"),
        plain("org", "suspended_because", "orgs_org_because_plain"),
        plain("domain", "name", "orgs_domain_name_plain"),
        plain("scimuser", "user_name", "orgs_scimuser_user_plain"),
        plain("scimuser", "display_name", "orgs_scimuser_name_plain"),
        plain("scimgroup", "display_name", "orgs_scimgroup_name_plain"),
        plain("apikey", "name", "orgs_apikey_name_plain"),
        plain("supportaccess", "reason", "orgs_support_reason_plain"),
    ]
