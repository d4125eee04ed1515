import django.db.models.deletion
import django.db.models.manager
import django.utils.timezone
from django.db import migrations, models

import apps.auth.models
from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

TABLE = "alerts_undecidedrun"


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0003_first_rules"),
        ("orgs", "0025_plain_sql_comments"),
        ("pipelines", "0021_duration_of_last_run"),
    ]

    operations = [
        migrations.CreateModel(
            name="UndecidedRun",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=apps.auth.models.new_id,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("run", models.JSONField()),
                ("tries", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "org",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="orgs.org",
                    ),
                ),
                (
                    "pipeline",
                    models.ForeignKey(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="pipelines.pipeline",
                    ),
                ),
            ],
            options={
                "abstract": False,
                "base_manager_name": "unscoped",
                "indexes": [
                    models.Index(fields=["pipeline", "created_at"], name="alerts_undecided_order")
                ],
            },
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("unscoped", django.db.models.manager.Manager()),
            ],
        ),
        rls.protect(TABLE),
        rls.same_org(TABLE, "pipeline_id", "pipelines_pipeline", on_delete="CASCADE"),
        InstallFunctions({"alerts/alerts.sql": "2963a683a64b"}),
    ]
