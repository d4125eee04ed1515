from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("runs", "0011_forget_job_id")]

    operations = [
        InstallFunctions(
            {
                "orgs/background.sql": "7b54278a4de3",
                "orgs/members/erasure.sql": "9ece4e852060",
                "runs/claiming/admission.sql": "7a70754389b7",
                "runs/claiming/reconciler.sql": "efd15efa889f",
                "runs/scheduling.sql": "fd6ce0876096",
                "runs/keeping/closing.sql": "593d392c7ee3",
                "runs/keeping/retention.sql": "475c1e4f5152",
                "runs/usage/counting.sql": "6af50f4e0a67",
            }
        ),
    ]
