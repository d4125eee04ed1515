"""What can be connected: saved settings of one source or destination kind, secrets sealed apart."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Lower

from apps.auth.models import User
from apps.orgs.models import Domain
from apps.orgs.tenancy import OrgOwned


class ConnectorRole(models.TextChoices):
    SOURCE = "source"
    DESTINATION = "destination"


class Connector(OrgOwned):
    """Saved settings. `config` holds what may be shown; secrets live in `sealed`, their hints in `secret_hints`."""

    name = models.CharField(max_length=120)
    role = models.CharField(max_length=11, choices=ConnectorRole.choices)
    kind = models.CharField(max_length=60)
    description = models.CharField(max_length=1000, blank=True)
    domain = models.ForeignKey(
        Domain, models.SET_NULL, related_name="+", null=True, blank=True, db_constraint=False
    )
    config = models.JSONField(default=dict)
    sealed = models.TextField(blank=True)  # {path: secret} for this connector, see apps.orgs.vault
    secret_hints = models.JSONField(default=dict)  # {path: last four characters}
    version = models.PositiveIntegerField(default=1)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_ok = models.BooleanField(null=True)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", "role", Lower("name"), name="connectors_connector_name"),
            models.CheckConstraint(
                condition=models.Q(role__in=ConnectorRole.values), name="connectors_connector_role"
            ),
        ]
        indexes = [models.Index(fields=["org", "-created_at", "-id"], name="connectors_newest")]
