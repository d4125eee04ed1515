from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("alerts", "0016_follow_ups_walls")]

    operations = [InstallFunctions({"alerts/alerts.sql": "9fc89efaec9b"})]
