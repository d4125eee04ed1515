from django.db import migrations, models

# From one stream that was described in both sides to a list of streams beside them.
FORWARD = """
UPDATE pipelines_pipelineversion SET definition = jsonb_build_object(
    'source', (definition->'source') - ARRAY['stream', 'sync_mode', 'cursor_field', 'primary_key'],
    'streams', jsonb_build_array(jsonb_build_object(
        'stream', definition->'source'->'stream',
        'table', definition->'destination'->'table',
        'sync_mode', definition->'source'->'sync_mode',
        'cursor_field', definition->'source'->'cursor_field',
        'primary_key', definition->'source'->'primary_key',
        'write_mode', definition->'destination'->'write_mode',
        'transforms', COALESCE(definition->'transforms', '[]'))),
    'destination', (definition->'destination') - ARRAY['table', 'write_mode'])
"""
BACKWARD = """
UPDATE pipelines_pipelineversion SET definition = jsonb_build_object(
    'source', (definition->'source') || jsonb_build_object(
        'stream', stream->'stream',
        'sync_mode', stream->'sync_mode',
        'cursor_field', stream->'cursor_field',
        'primary_key', stream->'primary_key'),
    'destination', (definition->'destination') || jsonb_build_object(
        'table', stream->'table',
        'write_mode', stream->'write_mode'))
    || CASE stream->'transforms' WHEN '[]' THEN '{}' ELSE jsonb_build_object('transforms', stream->'transforms') END
FROM (SELECT id AS version_id, definition->'streams'->0 AS stream FROM pipelines_pipelineversion) one
WHERE id = version_id
"""


class Migration(migrations.Migration):
    dependencies = [("pipelines", "0007_checked_texts")]

    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.AddConstraint(
            "pipelineversion",
            models.CheckConstraint(
                condition=models.Q(definition__has_key="streams"), name="pipelines_version_streams"
            ),
        ),
    ]
