from django.db import migrations, models

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0025_hooks_walls")]

    operations = [
        migrations.AddField(
            "schedule", "blackouts", models.JSONField(db_default=[], default=list)
        ),
        migrations.AddField("schedule", "end_date", models.DateField(blank=True, null=True)),
        InstallFunctions({"pipelines/schedules/blackouts.sql": "6fb4415b25c3"}),
    ]
