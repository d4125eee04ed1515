from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("runs", "0016_streams_walls")]

    operations = [InstallFunctions({"runs/keeping/retention.sql": "972b3e90640f"})]
