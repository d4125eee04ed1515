from django.db import migrations

# The same rule as in migration 0003, found with the primary key of the conversation. That one compares texts, so
# PostgreSQL reads all conversations of the org for each statement. EXISTS would let it choose that for UUIDs too.
OLD = """EXISTS (SELECT 1 FROM public.agent_conversation c
                 WHERE c.id::text = thread_id AND c.org_id = (SELECT public.app_current_org()))"""
NEW = """(SELECT c.org_id FROM public.agent_conversation c WHERE c.id = thread_id::uuid)
         = (SELECT public.app_current_org())"""
TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def policies(rule: str) -> str:
    """Return statements that change the policies of all tables."""
    return "".join(
        f"ALTER POLICY org_isolation ON agent.{table} USING ({rule}) WITH CHECK ({rule});\n"
        for table in TABLES
    )


class Migration(migrations.Migration):
    dependencies = [("agent", "0010_failed_approvals")]

    operations = [migrations.RunSQL(policies(NEW), policies(OLD))]
