from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("alerts", "0017_far_calls"), ("connectors", "0016_token_ends")]

    operations = [InstallFunctions({"alerts/alerts.sql": "2069cd2d1e17"})]
