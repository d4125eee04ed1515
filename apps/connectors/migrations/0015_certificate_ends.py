from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connectors", "0014_stored_streams_walls")]

    operations = [  # 0017_ends reads all ends.
        migrations.AddField(
            model_name="connector",
            name="certificate_ends_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
