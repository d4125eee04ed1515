from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0012_plain_sql_comments")]

    operations = [
        migrations.AddField(
            "run", "records_skipped", models.BigIntegerField(default=0, db_default=0)
        ),
    ]
