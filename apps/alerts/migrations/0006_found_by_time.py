from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("alerts", "0005_settings_of_rules"), ("runs", "0026_durations_of_last_runs")]

    operations = [InstallFunctions({"alerts/alerts.sql": "f02a76a74e4a"})]
