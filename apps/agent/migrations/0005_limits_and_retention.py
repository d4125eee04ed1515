from django.db import migrations, models

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("agent", "0004_unlocked_turns")]

    operations = [
        migrations.AddIndex(
            "turn", models.Index(fields=["org", "-created_at"], name="agent_turn_newest")
        ),
        InstallFunctions({"agent/conversations/retention.sql": "f2b330aac1c4"}),
    ]
