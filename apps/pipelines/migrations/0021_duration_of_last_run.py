from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0020_saved_views_walls")]

    operations = [
        migrations.AddField(
            "pipeline", "last_run_seconds", models.FloatField(editable=False, null=True)
        ),
    ]
