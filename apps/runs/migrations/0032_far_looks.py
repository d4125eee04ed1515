from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("runs", "0031_file_watches")]

    operations = [InstallFunctions({"runs/file_watches/file_watches.sql": "a0cbae687f2f"})]
