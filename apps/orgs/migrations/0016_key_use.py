from django.db import migrations

# Noting when a key was used waits for nobody who holds the key's row: the next use notes it.
USED = """
CREATE OR REPLACE FUNCTION auth_key_used(key_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_apikey SET last_used_at = now()
    WHERE id = (SELECT k.id FROM orgs_apikey k WHERE k.id = key_id FOR NO KEY UPDATE SKIP LOCKED)
$$;
"""
BEFORE = """
CREATE OR REPLACE FUNCTION auth_key_used(key_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_apikey SET last_used_at = now() WHERE id = key_id
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0015_plain_names")]

    operations = [migrations.RunSQL(USED, BEFORE)]
