"""What can be connected: saved settings of one kind, secrets sealed apart; and sources people write themselves."""

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


CUSTOM = "custom-"  # what the kind of a custom source starts with; its id follows


class Origin(models.TextChoices):
    EDITOR = "editor"
    UPLOAD = "upload"
    REPOSITORY = "repository"


class CustomSourceQuerySet(OrgQuerySet["CustomSource"]):
    """The reads of custom sources."""

    def matching(self, *, q: str = "", archived: bool = False) -> CustomSourceQuerySet:
        """Those in use, or with `archived` those put away; `q` looks in name and description."""
        found = self.filter(archived_at__isnull=not archived)
        if q:
            found = found.filter(models.Q(name__icontains=q) | models.Q(description__icontains=q))
        return found

    def rows(self) -> Any:
        """What a list shows: never the code."""
        return self.values(
            "id", "name", "description", "origin", "latest", "approved", "archived_at",
            "created_at", "updated_at",
        )  # fmt: skip


class CustomSource(OrgOwned):
    """A source written in Python by the org's people. Its code lives in versions; pipelines run approved ones."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=1000, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.EDITOR)
    latest = models.PositiveIntegerField(default=1)  # number of the newest version
    approved = models.PositiveIntegerField(null=True)  # of the one "latest approved" means
    archived_at = models.DateTimeField(null=True, blank=True)
    etag = models.PositiveIntegerField(default=1)  # rises with every change
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[OrgManager[Any]] = OrgManager.of(CustomSourceQuerySet)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", Lower("name"), name="connectors_customsource_name"),
        ]
        indexes = [
            models.Index(fields=["org", "-created_at", "-id"], name="connectors_custom_newest")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def kind(self) -> str:
        """What connectors and pipelines call it."""
        return f"{CUSTOM}{self.pk}"


class CustomSourceVersion(OrgOwned):
    """One text, never changed once written. `report` is what validation read from it."""

    source = models.ForeignKey(CustomSource, models.CASCADE, related_name="+", db_constraint=False)
    number = models.PositiveIntegerField()
    code = models.TextField()
    sha256 = models.CharField(max_length=64)
    report = models.JSONField()  # see apps.engine.authoring.report
    note = models.CharField(max_length=200, blank=True)
    commit = models.CharField(max_length=64, blank=True)
    author = models.CharField(max_length=200, blank=True)  # as the repository names them
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    approved_at = models.DateTimeField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "number"], name="connectors_customsource_number"
            )
        ]


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
    custom_source = models.ForeignKey(
        CustomSource, models.PROTECT, related_name="+", null=True, db_constraint=False
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
