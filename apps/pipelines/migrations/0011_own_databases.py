from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0010_one_writer")]

    # Existing rows get the default of the database, True: older releases stored each pipeline's table in its own file.
    operations = [
        migrations.AddField(
            "pipelineversion", "own_database", models.BooleanField(db_default=True, default=False)
        ),
    ]
