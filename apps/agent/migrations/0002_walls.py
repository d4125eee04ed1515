from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions

CONVERSATION, TURN = "agent_conversation", "agent_turn"


class Migration(migrations.Migration):
    dependencies = [
        ("agent", "0001_initial"),
        ("procrastinate", "0001_initial"),
        ("runs", "0012_plain_sql_comments"),
    ]

    operations = [
        rls.protect(CONVERSATION),
        rls.protect(TURN),
        rls.protect("agent_event"),
        rls.protect("agent_call"),
        rls.protect("agent_approval"),
        rls.same_org(TURN, "conversation_id", CONVERSATION, on_delete="CASCADE"),
        rls.same_org("agent_event", "conversation_id", CONVERSATION, on_delete="CASCADE"),
        rls.same_org("agent_call", "conversation_id", CONVERSATION, on_delete="CASCADE"),
        rls.same_org("agent_call", "turn_id", TURN, on_delete="CASCADE"),
        rls.same_org("agent_approval", "conversation_id", CONVERSATION, on_delete="CASCADE"),
        rls.same_org("agent_approval", "turn_id", TURN, on_delete="CASCADE"),
        InstallFunctions({"agent/turns/reconciler.sql": "87c546f34782"}),
    ]
