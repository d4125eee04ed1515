from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("identity", "0004_names")]

    operations = [
        migrations.AddField(
            model_name="user",
            name="proof_version",
            field=models.PositiveIntegerField(default=1, db_default=1),
        ),
    ]
