from django.db import migrations

# Orgs that are created later get the same by apps.alerts.beginning.
ADD_FIRST_RULES = """
WITH channels AS (
    INSERT INTO alerts_channel (id, org_id, name, kind, settings, sealed, secret_hints, enabled, disabled_reason, etag,
                                created_at, updated_at)
    SELECT gen_random_uuid(), o.id, 'Owners', 'email', '{"to": []}', '', '{}', true, '', 1, now(), now() FROM orgs_org o
    RETURNING id, org_id
), rules AS (
    INSERT INTO alerts_rule (id, org_id, kind, threshold, scope, tag, enabled, etag, created_at, updated_at)
    SELECT gen_random_uuid(), c.org_id, 'run_failed', 1, 'org', '', true, 1, now(), now() FROM channels c
    RETURNING id, org_id
)
INSERT INTO alerts_rulechannel (id, org_id, rule_id, channel_id)
SELECT gen_random_uuid(), c.org_id, r.id, c.id FROM channels c JOIN rules r ON r.org_id = c.org_id
"""


class Migration(migrations.Migration):
    dependencies = [("alerts", "0002_walls")]

    operations = [migrations.RunSQL(ADD_FIRST_RULES, migrations.RunSQL.noop)]
