from django.db import migrations

from apps.auth.name_cleaning import clean_lists, clean_texts


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0005_plain_names")]

    operations = [
        clean_lists("pipelines_pipeline", "tags", longest=50),
        clean_texts("pipelines_pipeline", "description", longest=1000),
    ]
