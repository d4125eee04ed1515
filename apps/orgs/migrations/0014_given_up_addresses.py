from django.db import migrations

# The invitations to an old address may belong to orgs of which the user is not a member.
FORGET = """
CREATE FUNCTION forget_invitation_links(address text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE orgs_invitation SET digest = NULL WHERE email = address AND accepted_at IS NULL
$$;
"""


class Migration(migrations.Migration):
    dependencies = [("orgs", "0013_names")]

    operations = [
        migrations.RunSQL(FORGET, "DROP FUNCTION forget_invitation_links(text);"),
    ]
