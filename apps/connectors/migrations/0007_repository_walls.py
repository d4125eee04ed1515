from django.db import migrations

from apps.orgs.walls import rls

REPOSITORY = "connectors_repository"


class Migration(migrations.Migration):
    dependencies = [("connectors", "0006_repositories"), ("orgs", "0013_names")]

    operations = [
        rls.protect(REPOSITORY),
        rls.same_org(
            "connectors_customsource",
            "repository_id",
            REPOSITORY,
            on_delete="SET NULL (repository_id)",
        ),
    ]
