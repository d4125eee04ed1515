from django.db import migrations, models

from apps.orgs.walls.sql_functions import InstallFunctions

# A turn gets its transcript when it ends, and loses it when it is tried again. Documents do not change.
CREATE_TRIGGERS = """
CREATE TRIGGER agent_count_new_transcript AFTER INSERT ON agent_turn FOR EACH ROW
    WHEN (NEW.transcript IS NOT NULL) EXECUTE FUNCTION agent_count_transcript();
CREATE TRIGGER agent_count_transcript AFTER UPDATE OF transcript ON agent_turn FOR EACH ROW
    WHEN (NEW.transcript IS NOT NULL OR OLD.transcript IS NOT NULL) EXECUTE FUNCTION agent_count_transcript();
CREATE TRIGGER agent_count_document AFTER INSERT ON agent_sourcedocument FOR EACH ROW
    EXECUTE FUNCTION agent_count_document();
"""
DROP_TRIGGERS = """
DROP TRIGGER agent_count_new_transcript ON agent_turn;
DROP TRIGGER agent_count_transcript ON agent_turn;
DROP TRIGGER agent_count_document ON agent_sourcedocument;
"""


class Migration(migrations.Migration):
    dependencies = [("agent", "0011_checkpoint_policies")]

    operations = [
        migrations.AddField(
            "conversation", "stored_bytes", models.BigIntegerField(default=0, db_default=0)
        ),
        InstallFunctions({"agent/conversations/counting.sql": "db0889cbdcab"}),
        migrations.RunSQL(CREATE_TRIGGERS, DROP_TRIGGERS),
    ]
