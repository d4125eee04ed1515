from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("runs", "0009_attempt_retryable")]

    operations = [
        InstallFunctions(
            {
                "runs/claiming/admission.sql": "d4e18fd32922",
                "runs/claiming/reconciler.sql": "6c767af87c45",
                "runs/scheduling.sql": "bd5d701c2714",
                "runs/keeping/closing.sql": "99ae0a8b87c3",
                "runs/keeping/retention.sql": "330f5bb0d70f",
                "runs/usage/counting.sql": "b5ff88df4859",
                "orgs/background.sql": "3f4728068a7c",
                "orgs/members/erasure.sql": "4b73cdcfe85c",
            }
        ),
    ]
