from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0013_installation_problems"),
        ("pipelines", "0026_blackouts"),
        ("runs", "0029_hooks"),
    ]

    operations = [InstallFunctions({"alerts/alerts.sql": "dc0b544980fe"})]
