from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orgs", "0022_directory_texts")]

    operations = [
        migrations.AddField(
            model_name="auditevent",
            name="on_behalf_of",
            field=models.JSONField(null=True),
        ),
    ]
