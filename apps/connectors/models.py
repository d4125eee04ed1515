"""What can be connected: saved settings of one source or destination kind, secrets sealed apart."""

from __future__ import annotations

from typing import Any, ClassVar
from uuid import UUID

from django.db import models
from django.db.models.functions import Lower

from apps.auth.models import User
from apps.orgs.models import Domain
from apps.orgs.tenancy import OrgManager, OrgOwned, OrgQuerySet


class ConnectorRole(models.TextChoices):
    SOURCE = "source"
    DESTINATION = "destination"


class ConnectorQuerySet(OrgQuerySet["Connector"]):
    """The reads of connectors."""

    def matching(
        self, *, role: str = "", kind: str = "", domain: UUID | None = None, q: str = ""
    ) -> ConnectorQuerySet:
        """Narrowed by what is given; `q` looks in name and description."""
        found = self
        if role:
            found = found.filter(role=role)
        if kind:
            found = found.filter(kind=kind)
        if domain:
            found = found.filter(domain_id=domain)
        if q:
            found = found.filter(models.Q(name__icontains=q) | models.Q(description__icontains=q))
        return found

    def rows(self) -> Any:
        """What a list shows: never the settings."""
        return self.values(
            "id", "name", "role", "kind", "description", "domain_id", "domain__name",
            "check_ok", "checked_at", "created_at", "updated_at",
        )  # fmt: skip


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

    objects: ClassVar[OrgManager[Any]] = OrgManager.of(ConnectorQuerySet)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", "role", Lower("name"), name="connectors_connector_name"),
            models.CheckConstraint(
                condition=models.Q(role__in=ConnectorRole.values), name="connectors_connector_role"
            ),
        ]
        indexes = [models.Index(fields=["org", "-created_at", "-id"], name="connectors_newest")]

    def __str__(self) -> str:
        return self.name
