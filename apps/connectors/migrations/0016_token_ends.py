from typing import Any

from django.db import migrations, models

from apps.connectors.configuration import StoredSettings
from apps.orgs import vault
from apps.orgs.exceptions import SecretUnreadable


def read_tokens(apps: Any, schema_editor: Any) -> None:
    """Read the ends of the tokens and certificates that were stored before."""
    orgs = apps.get_model("orgs", "Org")._base_manager.in_bulk()
    rows = apps.get_model("connectors", "Connector")._base_manager.exclude(sealed="")
    for connector in rows.iterator():
        try:
            secrets = vault.unseal(
                orgs[connector.org_id], "connector", connector.pk, connector.sealed
            )
        except SecretUnreadable:  # Its key is lost, so the connector does not work either.
            continue
        ends = StoredSettings(connector.config, secrets).ends
        if any(ends.values()):
            type(connector)._base_manager.filter(pk=connector.pk).update(**ends)


class Migration(migrations.Migration):
    dependencies = [("connectors", "0015_certificate_ends")]

    operations = [
        migrations.AddField(
            model_name="connector",
            name="token_ends_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(read_tokens, migrations.RunPython.noop),
    ]
