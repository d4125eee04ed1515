from django.db import migrations, models

KINDS = [("ordinary", "Ordinary"), ("backfill", "Backfill"), ("replay", "Replay")]


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0016_source_changes_walls")]

    operations = [
        migrations.AddField(
            "pipeline",
            "last_run_kind",
            models.CharField(
                choices=KINDS,
                db_default="ordinary",
                default="ordinary",
                editable=False,
                max_length=10,
            ),
        ),
    ]
