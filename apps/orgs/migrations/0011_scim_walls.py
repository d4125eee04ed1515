from django.db import migrations

from apps.orgs.walls import rls


class Migration(migrations.Migration):
    dependencies = [("orgs", "0010_scim")]

    operations = [
        rls.protect("orgs_scimuser"),
        rls.protect("orgs_scimgroup"),
        rls.protect("orgs_scimmembership"),
        rls.same_org("orgs_scimmembership", "group_id", "orgs_scimgroup", on_delete="CASCADE"),
        rls.same_org("orgs_scimmembership", "user_id", "orgs_scimuser", on_delete="CASCADE"),
    ]
