from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("runs", "0029_hooks"), ("pipelines", "0026_blackouts")]

    operations = [InstallFunctions({"runs/dependents/dependents.sql": "598fd5d3f928"})]
