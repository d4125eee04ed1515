from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("connectors", "0015_certificate_ends")]

    operations = [  # 0017_ends reads all ends.
        migrations.AddField(
            model_name="connector",
            name="token_ends_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
    ]
