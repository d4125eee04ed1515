from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions

# Orgs that are created later get the same by apps.alerts.beginning. Orgs without a channel for their owners get nothing.
ADD_RULES = """
WITH channels AS (
    SELECT DISTINCT ON (org_id) id, org_id FROM alerts_channel
    WHERE kind = 'email' AND settings->'to' = '[]' AND enabled ORDER BY org_id, created_at, id
), rules AS (
    INSERT INTO alerts_rule (id, org_id, kind, settings, scope, tag, enabled, etag, created_at, updated_at)
    SELECT gen_random_uuid(), c.org_id, k.kind, k.settings::jsonb, 'org', '', true, 1, now(), now() FROM channels c
    CROSS JOIN (VALUES ('limit_near', '{"percent": 80}'), ('limit_reached', '{}'), ('credential_ends', '{"days": 7}'))
        k (kind, settings)
    RETURNING id, org_id
)
INSERT INTO alerts_rulechannel (id, org_id, rule_id, channel_id)
SELECT gen_random_uuid(), c.org_id, r.id, c.id FROM channels c JOIN rules r ON r.org_id = c.org_id
"""


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0011_subjects"),
        ("connectors", "0015_certificate_ends"),
        ("identity", "0006_plain_names"),
        ("runs", "0029_hooks"),
    ]

    operations = [
        InstallFunctions({"alerts/alerts.sql": "c09eb38ced0a"}),
        migrations.RunSQL(ADD_RULES, migrations.RunSQL.noop),
    ]
