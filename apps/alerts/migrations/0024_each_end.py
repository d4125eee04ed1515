from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions

# An alert is about one certificate or token now, and not about a connector. What still ends soon is told again.
CLOSE_OLD = """
UPDATE alerts_alert SET closed_at = now() WHERE closed_at IS NULL AND subject_kind = 'connector'
"""


class Migration(migrations.Migration):
    dependencies = [("alerts", "0023_find_open_incidents"), ("connectors", "0017_ends")]

    operations = [
        InstallFunctions({"alerts/alerts.sql": "56d6dc4dcac6"}),
        migrations.RunSQL(CLOSE_OLD, migrations.RunSQL.noop),
    ]
