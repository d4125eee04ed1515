from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("agent", "0003_checkpoints")]

    operations = [InstallFunctions({"agent/turns/reconciler.sql": "674ad9745f2d"})]
