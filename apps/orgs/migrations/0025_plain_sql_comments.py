from django.db import migrations

from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("orgs", "0024_sql_functions")]

    operations = [
        InstallFunctions(
            {
                "orgs/credentials.sql": "0e815940e9e4",
                "orgs/members/invitations.sql": "6338b62626e2",
                "orgs/members/verified_domains.sql": "a41cc190e4cb",
                "orgs/sign_in/providers.sql": "4ec94d3c24aa",
            }
        ),
    ]
