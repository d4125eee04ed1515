from typing import Any

from django.db import migrations, models

from apps.connectors.configuration import StoredSettings
from apps.orgs import vault
from apps.orgs.exceptions import SecretUnreadable


def read_ends(apps: Any, schema_editor: Any) -> None:
    """Read the ends of the certificates and tokens that were stored before."""
    orgs = apps.get_model("orgs", "Org")._base_manager.in_bulk()
    rows = apps.get_model("connectors", "Connector")._base_manager.all()
    for connector in rows.iterator():
        org, secrets = orgs[connector.org_id], {}
        if connector.sealed:
            try:
                secrets = vault.unseal(org, "connector", connector.pk, connector.sealed)
            except SecretUnreadable:  # Its key is lost, so the connector does not work either.
                continue
        if ends := StoredSettings(connector.config, secrets).ends:
            type(connector)._base_manager.filter(pk=connector.pk).update(ends=ends)


class Migration(migrations.Migration):
    dependencies = [("connectors", "0016_token_ends")]

    operations = [
        migrations.AddField(
            model_name="connector",
            name="ends",
            field=models.JSONField(blank=True, db_default=[], default=list),
        ),
        migrations.RunPython(read_ends, migrations.RunPython.noop),
        migrations.RemoveField(model_name="connector", name="certificate_ends_at"),
        migrations.RemoveField(model_name="connector", name="token_ends_at"),
    ]
