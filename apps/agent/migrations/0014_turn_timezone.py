from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("agent", "0013_count_stored_bytes"),
    ]

    operations = [
        migrations.AddField(
            model_name="turn",
            name="timezone",
            field=models.CharField(blank=True, db_default="", max_length=60),
        ),
    ]
