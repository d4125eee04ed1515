from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("runs", "0011_forget_job_id")]

    operations = [
        InstallFunctions(
            {
                "orgs/background.sql": "7b54278a4de3",
                "orgs/members/erasure.sql": "9ece4e852060",
            }
        ),
    ]
