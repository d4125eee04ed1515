from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("alerts", "0018_token_ends")]

    operations = [InstallFunctions({"alerts/alerts.sql": "20e40c122317"})]
