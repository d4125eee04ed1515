from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("alerts", "0016_follow_ups_walls")]

    operations = [InstallFunctions({"alerts/follow_ups/follow_ups.sql": "c0ac8603d76a"})]
