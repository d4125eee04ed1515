from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0013_skipped_records")]

    operations = [
        migrations.AddIndex(
            "output",
            models.Index(
                condition=models.Q(media_type="application/vnd.duckdb"),
                fields=["org", "key"],
                name="runs_output_database",
            ),
        ),
    ]
