from django.db import migrations

from apps.orgs.walls import rls
from apps.orgs.walls.sql_functions import InstallFunctions


class Migration(migrations.Migration):
    dependencies = [("connectors", "0011_files")]

    operations = [
        rls.protect("connectors_uploadedfile"),
        rls.protect("connectors_fileupload"),
        InstallFunctions({"connectors/files/sweeping.sql": "46ef61053fe8"}),
    ]
