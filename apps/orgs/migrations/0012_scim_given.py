from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orgs", "0011_scim_walls")]

    operations = [
        migrations.AddField(
            model_name="scimuser",
            name="given",
            field=models.CharField(blank=True, max_length=10),
        ),
    ]
