from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

from apps.orgs.walls.sql_functions import InstallFunctions

# The incidents that are open. Those whose alert has ended without a recovery before stay open elsewhere.
MARK_OPEN = """
UPDATE alerts_delivery d SET incident_open = true FROM alerts_alert a, alerts_channel c
WHERE a.org_id = d.org_id AND a.id = d.alert_id AND a.closed_at IS NULL AND d.kind = 'opened' AND d.message_id IS NOT NULL
AND c.org_id = d.org_id AND c.id = d.channel_id AND c.kind IN ('pagerduty', 'opsgenie')
"""


class Migration(migrations.Migration):
    atomic = False  # because of the index
    dependencies = [("alerts", "0022_open_incidents")]

    operations = [
        InstallFunctions({"alerts/alerts.sql": "b1f54459c3a8"}),
        migrations.RunSQL(MARK_OPEN, migrations.RunSQL.noop),
        AddIndexConcurrently(
            model_name="delivery",
            index=models.Index(
                condition=models.Q(incident_open=True),
                fields=["message_id"],
                name="alerts_delivery_incident",
            ),
        ),
    ]
