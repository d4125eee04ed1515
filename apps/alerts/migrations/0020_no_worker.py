from django.db import migrations, models

from apps.orgs.walls.sql_functions import InstallFunctions

# Orgs that are created later get the same by apps.alerts.beginning. Orgs without a channel for their owners get nothing.
ADD_RULES = """
WITH channels AS (
    SELECT DISTINCT ON (org_id) id, org_id FROM alerts_channel
    WHERE kind = 'email' AND settings->'to' = '[]' AND enabled ORDER BY org_id, created_at, id
), rules AS (
    INSERT INTO alerts_rule (id, org_id, kind, settings, scope, tag, enabled, etag, created_at, updated_at)
    SELECT gen_random_uuid(), c.org_id, 'no_worker', '{"minutes": 15}', 'org', '', true, 1, now(), now() FROM channels c
    RETURNING id, org_id
)
INSERT INTO alerts_rulechannel (id, org_id, rule_id, channel_id)
SELECT gen_random_uuid(), c.org_id, r.id, c.id FROM channels c JOIN rules r ON r.org_id = c.org_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0019_kept_openings"),
        ("pipelines", "0028_file_watches_walls"),
        ("procrastinate", "0041_post_retry_failed_job"),
        ("runs", "0031_file_watches"),
    ]

    operations = [
        migrations.AlterField(
            model_name="alert",
            name="subject_kind",
            field=models.CharField(
                choices=[('pipeline', 'Pipeline'), ('limit', 'Limit'), ('api_key', 'Api Key'), ('connector', 'Connector'), ('runs', 'Runs')],
                db_default="pipeline",
                default="pipeline",
                max_length=10,
            ),
        ),
        InstallFunctions({"alerts/alerts.sql": "719d73e798e5"}),
        migrations.RunSQL(ADD_RULES, migrations.RunSQL.noop),
    ]
