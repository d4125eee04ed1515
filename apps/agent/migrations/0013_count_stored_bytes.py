from django.db import migrations

COUNT = """
UPDATE agent_conversation c SET stored_bytes =
    coalesce((SELECT sum(pg_column_size(t.transcript)) FROM agent_turn t WHERE t.conversation_id = c.id), 0)
    + coalesce((SELECT sum(pg_column_size(d.text)) FROM agent_sourcedocument d WHERE d.conversation_id = c.id), 0)
"""


class Migration(migrations.Migration):
    dependencies = [("agent", "0012_stored_bytes")]

    operations = [migrations.RunSQL(COUNT, migrations.RunSQL.noop)]
