from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0024_freshness")]

    operations = [
        migrations.AddIndex(
            "run",
            models.Index(
                fields=["org", "-finished_at", "-id"],
                name="runs_ended",
                condition=models.Q(finished_at__isnull=False),
            ),
        ),
    ]
