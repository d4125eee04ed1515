from django.db import migrations

from apps.orgs.walls import rls


class Migration(migrations.Migration):
    dependencies = [("orgs", "0008_support")]

    operations = [rls.protect("orgs_supportaccess")]
