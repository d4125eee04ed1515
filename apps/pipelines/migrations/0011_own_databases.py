from django.db import migrations, models

# Older releases stored the DuckDB table of each pipeline in a file of its own.
KEEP_OWN_FILES = """
UPDATE pipelines_pipelineversion SET own_database = true
WHERE definition->'destination'->>'kind' = 'duckdb' AND definition->'destination'->>'connector_id' IS NOT NULL
"""


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0010_one_writer")]

    operations = [
        migrations.AddField(
            "pipelineversion",
            "own_database",
            models.BooleanField(db_default=False, default=False),
        ),
        migrations.RunSQL(KEEP_OWN_FILES, migrations.RunSQL.noop),
    ]
