from django.db import migrations

from apps.orgs.walls import rls

TABLE = "pipelines_savedview"


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0019_saved_views")]

    operations = [
        rls.protect(TABLE),
        rls.same_org(TABLE, "membership_id", "orgs_membership", on_delete="CASCADE"),
    ]
