from django.db import migrations

from apps.orgs.walls import rls

CONVERSATION = "agent_conversation"


class Migration(migrations.Migration):
    dependencies = [("agent", "0008_source_documents")]

    operations = [
        rls.protect("agent_sourcedocument"),
        rls.protect("agent_sourcesettings"),
        rls.same_org(
            "agent_sourcedocument", "conversation_id", CONVERSATION, on_delete="CASCADE"
        ),
        rls.same_org(
            "agent_sourcesettings", "conversation_id", CONVERSATION, on_delete="CASCADE"
        ),
    ]
