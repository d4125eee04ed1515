from django.db import migrations

# Recording the use of a key must not wait for a transaction that has locked the row of the key.
RECORD_USE = """
CREATE OR REPLACE FUNCTION auth_key_used(key_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_apikey SET last_used_at = now()
    WHERE id = (SELECT k.id FROM orgs_apikey k WHERE k.id = key_id FOR NO KEY UPDATE SKIP LOCKED)
$$;
"""
OLD_RECORD_USE = """
CREATE OR REPLACE FUNCTION auth_key_used(key_id uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_apikey SET last_used_at = now() WHERE id = key_id
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0015_plain_names")]

    operations = [migrations.RunSQL(RECORD_USE, OLD_RECORD_USE)]
