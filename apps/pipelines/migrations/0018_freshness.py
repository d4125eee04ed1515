from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0017_kind_of_last_run")]

    operations = [
        migrations.AddField(
            "pipeline", "last_success_at", models.DateTimeField(editable=False, null=True)
        ),
        migrations.AddField(
            "pipeline",
            "last_success_seconds",
            models.PositiveIntegerField(editable=False, null=True),
        ),
        migrations.AddField(
            "pipeline", "failing_since", models.DateTimeField(editable=False, null=True)
        ),
        migrations.AddField("pipeline", "late_at", models.DateTimeField(editable=False, null=True)),
    ]
