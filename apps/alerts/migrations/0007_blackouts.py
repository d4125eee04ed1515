from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0006_found_by_time"),
        ("pipelines", "0026_blackouts"),
        ("runs", "0029_hooks"),
    ]

    operations = [InstallFunctions({"alerts/alerts.sql": "c92809c02699"})]
