from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("orgs", "0023_audit_on_behalf_of")]

    operations = [
        InstallFunctions(
            {
                "orgs/credentials.sql": "0d91c4b097e5",
                "orgs/members/invitations.sql": "d7503aad6ec5",
                "orgs/members/verified_domains.sql": "a0b685ff59b7",
                "orgs/sign_in/providers.sql": "7c1ab7e4cd7e",
            }
        ),
    ]
