from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("runs", "0022_replays")]

    operations = [
        migrations.AlterField(
            model_name="backfill",
            name="rows_expected",
            field=models.BigIntegerField(null=True),
        ),
        migrations.AlterField(
            model_name="backfill",
            name="cursor_field",
            field=models.CharField(blank=True, max_length=200),
        ),
    ]
