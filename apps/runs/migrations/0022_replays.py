import django.db.models.deletion
from django.db import migrations, models

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

RUN = "runs_run"
TRIGGERS = [
    ("manual", "Manual"),
    ("schedule", "Schedule"),
    ("api", "Api"),
    ("retry", "Retry"),
    ("backfill", "Backfill"),
    ("replay", "Replay"),
]


class Migration(migrations.Migration):
    dependencies = [("runs", "0021_settings_of_streams")]

    operations = [
        migrations.AlterField(
            model_name="run",
            name="trigger",
            field=models.CharField(choices=TRIGGERS, max_length=10),
        ),
        migrations.AddField(
            model_name="run",
            name="replay_of",
            field=models.ForeignKey(
                db_constraint=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="+",
                to="runs.run",
            ),
        ),
        rls.same_org(RUN, "replay_of_id", RUN, on_delete="SET NULL (replay_of_id)"),
        InstallFunctions({"runs/scheduling.sql": "69c9c2efc48c"}),
    ]
