from typing import Any

from django.db import migrations, models

from apps.connectors.configuration import PEM_BEGIN, certificate_end


def read_certificates(apps: Any, schema_editor: Any) -> None:
    """Read the ends of the certificates that were stored before."""
    rows = apps.get_model("connectors", "Connector")._base_manager.filter(
        config__icontains=PEM_BEGIN
    )
    for connector in rows.iterator():
        connector.certificate_ends_at = certificate_end(connector.config)
        connector.save(update_fields=["certificate_ends_at"])


class Migration(migrations.Migration):
    dependencies = [("connectors", "0014_stored_streams_walls")]

    operations = [
        migrations.AddField(
            model_name="connector",
            name="certificate_ends_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.RunPython(read_certificates, migrations.RunPython.noop),
    ]
