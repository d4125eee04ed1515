from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions

# Orgs that are created later get the same by apps.alerts.beginning. Orgs without a channel for their owners get nothing.
ADD_RULES = """
WITH channels AS (
    SELECT DISTINCT ON (org_id) id, org_id FROM alerts_channel
    WHERE kind = 'email' AND settings->'to' = '[]' AND enabled ORDER BY org_id, created_at, id
), rules AS (
    INSERT INTO alerts_rule (id, org_id, kind, settings, scope, tag, enabled, etag, created_at, updated_at)
    SELECT gen_random_uuid(), c.org_id, 'no_storage', '{"minutes": 15}', 'org', '', true, 1, now(), now() FROM channels c
    RETURNING id, org_id
)
INSERT INTO alerts_rulechannel (id, org_id, rule_id, channel_id)
SELECT gen_random_uuid(), c.org_id, r.id, c.id FROM channels c JOIN rules r ON r.org_id = c.org_id
"""


class Migration(migrations.Migration):
    dependencies = [("alerts", "0020_no_worker")]

    operations = [
        InstallFunctions({"alerts/alerts.sql": "95110c1d4a66"}),
        migrations.RunSQL(ADD_RULES, migrations.RunSQL.noop),
    ]
