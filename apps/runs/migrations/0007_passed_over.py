from django.db import migrations

# A claim skips the orgs in `passed_over`, because another process has locked their rows. Calls with one argument still work.
NEXT = """
DROP FUNCTION runs_next(integer);
CREATE FUNCTION runs_next(platform integer, passed_over uuid[] DEFAULT '{}') RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.org_id, l.run_id FROM runs_lines() l
    WHERE runs_running() < platform AND l.org_id <> ALL (passed_over)
    ORDER BY l.turn NULLS FIRST, l.since, l.run_id LIMIT 1
$$;
"""
BEFORE = """
DROP FUNCTION runs_next(integer, uuid[]);
CREATE FUNCTION runs_next(platform integer) RETURNS TABLE (org_id uuid, run_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT l.org_id, l.run_id FROM runs_lines() l WHERE runs_running() < platform
    ORDER BY l.turn NULLS FIRST, l.since, l.run_id LIMIT 1
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("runs", "0006_attempt_network")]

    operations = [migrations.RunSQL(NEXT, BEFORE)]
