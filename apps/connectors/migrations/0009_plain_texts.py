from django.db import migrations

from apps.auth.name_cleaning import clean_texts


class Migration(migrations.Migration):
    dependencies = [("connectors", "0008_plain_names")]

    operations = [
        clean_texts("connectors_connector", "description", longest=1000),
        clean_texts("connectors_customsource", "description", longest=1000),
    ]
