from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0008_retention")]

    operations = [
        migrations.AddField("attempt", "failure_retryable", models.BooleanField(null=True)),
    ]
