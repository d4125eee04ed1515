from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("orgs", "0020_verified_domains")]

    operations = [
        migrations.AddField(
            "verifieddomain", "unanswered_since", models.DateTimeField(blank=True, null=True)
        ),
    ]
