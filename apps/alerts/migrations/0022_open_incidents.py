from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("alerts", "0021_no_storage")]

    operations = [
        migrations.AddField(
            model_name="delivery",
            name="incident_open",
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
