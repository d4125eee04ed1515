"""The tables of connectors, custom sources, repositories and uploaded files."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, TypedDict
from uuid import UUID

from django.db import models
from django.db.models.functions import Lower
from django.utils import timezone

from apps.auth import names
from apps.auth.models import User
from apps.orgs.models import Domain
from apps.orgs.tenancy import OrgManager, OrgOwned, OrgQuerySet, Rows


class ConnectorRole(models.TextChoices):
    SOURCE = "source"
    DESTINATION = "destination"


CUSTOM_PREFIX = "custom-"  # prefix of the kind of a custom source, followed by its id


class Origin(models.TextChoices):
    EDITOR = "editor"
    UPLOAD = "upload"
    REPOSITORY = "repository"


class SyncStatus(models.TextChoices):
    NEVER = "never"
    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    PARTLY = "partly"  # some of the files could not be used
    FAILED = "failed"


class Repository(OrgOwned):
    """A folder of a Git repository whose Python files are custom sources. Its secrets are encrypted."""

    url = models.CharField(max_length=500)
    branch = models.CharField(max_length=200, default="main")
    path = models.CharField(max_length=300, blank=True)  # path of the folder; empty is the root
    username = models.CharField(max_length=100, blank=True)
    sealed = models.TextField(blank=True)  # {"token", "webhook_secret"}, see apps.orgs.vault
    has_token = models.BooleanField(default=False)
    token_last4 = models.CharField(max_length=4, blank=True)
    approves = models.BooleanField(
        default=False
    )  # approve new versions automatically if they need no new hosts
    status = models.CharField(max_length=9, choices=SyncStatus.choices, default=SyncStatus.NEVER)
    claim = models.UUIDField(null=True)  # id of the current sync; an older sync may write nothing
    message = models.CharField(max_length=1000, blank=True)  # why the last sync failed
    synced_at = models.DateTimeField(null=True)
    commit = models.CharField(max_length=64, blank=True)
    author = models.CharField(max_length=200, blank=True)
    subject = models.CharField(max_length=200, blank=True)
    committed_at = models.DateTimeField(null=True)
    outcomes = models.JSONField(
        default=list
    )  # an Outcome for each file of the last sync, see custom_sources/outcomes.py
    etag = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta(OrgOwned.Meta):
        verbose_name_plural = "repositories"
        constraints = [
            models.UniqueConstraint(
                fields=["org", "url", "branch", "path"], name="connectors_repository_place"
            ),
            names.plain_text_check("path", name="connectors_repository_path_plain"),
            names.plain_text_check("username", name="connectors_repository_user_plain"),
            names.plain_text_check("author", name="connectors_repository_author_plain"),
            names.plain_text_check("subject", name="connectors_repository_subject_plain"),
        ]

    def __str__(self) -> str:
        return f"{self.url} ({self.branch})"


class CustomSourceColumns(TypedDict):
    id: UUID
    name: str
    description: str
    origin: str
    repository_id: UUID | None
    repository_path: str
    latest: int
    approved: int | None
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime


class CustomSourceQuerySet(OrgQuerySet["CustomSource"]):
    """Queries on custom sources."""

    def matching(self, *, q: str = "", archived: bool = False) -> CustomSourceQuerySet:
        """Return active sources, or archived ones with `archived`; `q` searches name and description."""
        rows = self.filter(archived_at__isnull=not archived)
        if q:
            rows = rows.filter(models.Q(name__icontains=q) | models.Q(description__icontains=q))
        return rows

    def rows(self) -> Rows[CustomSource, CustomSourceColumns]:
        """Return rows for a list of custom sources, without the code."""
        return self.columns(CustomSourceColumns)


class CustomSourceManager(OrgManager["CustomSource", CustomSourceQuerySet]):
    queryset_class = CustomSourceQuerySet


class CustomSource(OrgOwned):
    """A source written in Python by a user of the org. Its code is in its versions. Pipelines run approved versions."""

    name = models.CharField(max_length=120)
    description = models.CharField(max_length=1000, blank=True)
    origin = models.CharField(max_length=10, choices=Origin.choices, default=Origin.EDITOR)
    repository = models.ForeignKey(
        Repository, models.SET_NULL, related_name="+", null=True, db_constraint=False
    )
    repository_path = models.CharField(max_length=500, blank=True)  # path of the source's file
    latest = models.PositiveIntegerField(default=1)  # number of the newest version
    approved = models.PositiveIntegerField(null=True)  # number of the latest approved version
    archived_at = models.DateTimeField(null=True, blank=True)
    etag = models.PositiveIntegerField(default=1)  # increases with every change
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[CustomSourceManager] = CustomSourceManager()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", Lower("name"), name="connectors_customsource_name"),
            models.UniqueConstraint(
                fields=["org", "repository", "repository_path"], name="connectors_customsource_file"
            ),
            names.plain_text_check("name", name="connectors_custom_name_plain"),
            names.plain_text_check(
                "description", name="connectors_custom_text_plain", multiline=True
            ),
            names.plain_text_check("repository_path", name="connectors_custom_path_plain"),
        ]
        indexes = [
            models.Index(fields=["org", "-created_at", "-id"], name="connectors_custom_newest")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def kind(self) -> str:
        """The `kind` of its connectors and pipelines."""
        return f"{CUSTOM_PREFIX}{self.pk}"


class CustomSourceVersion(OrgOwned):
    """The code of one version, which never changes. `report` is the result of its validation."""

    source = models.ForeignKey(CustomSource, models.CASCADE, related_name="+", db_constraint=False)
    number = models.PositiveIntegerField()
    code = models.TextField()
    sha256 = models.CharField(max_length=64)
    report = models.JSONField()  # see apps.engine.authoring.report
    note = models.CharField(max_length=200, blank=True)
    commit = models.CharField(max_length=64, blank=True)
    author = models.CharField(max_length=200, blank=True)  # author of the commit in the repository
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    approved_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    approved_at = models.DateTimeField(null=True)

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint(
                fields=["org", "source", "number"], name="connectors_customsource_number"
            ),
            names.plain_text_check("note", name="connectors_custom_note_plain"),
            names.plain_text_check("author", name="connectors_custom_author_plain"),
        ]


class ConnectorColumns(TypedDict):
    id: UUID
    name: str
    role: str
    kind: str
    description: str
    domain_id: UUID | None
    domain__name: str | None
    check_ok: bool | None
    checked_at: datetime | None
    created_at: datetime
    updated_at: datetime


class ConnectorQuerySet(OrgQuerySet["Connector"]):
    """Queries on connectors."""

    def matching(
        self, *, role: str = "", kind: str = "", domain: UUID | None = None, q: str = ""
    ) -> ConnectorQuerySet:
        """Filter by the arguments that are set; `q` searches name and description."""
        rows = self
        if role:
            rows = rows.filter(role=role)
        if kind:
            rows = rows.filter(kind=kind)
        if domain:
            rows = rows.filter(domain_id=domain)
        if q:
            rows = rows.filter(models.Q(name__icontains=q) | models.Q(description__icontains=q))
        return rows

    def rows(self) -> Rows[Connector, ConnectorColumns]:
        """Return rows for a list of connectors, without the settings."""
        return self.columns(ConnectorColumns)


class ConnectorManager(OrgManager["Connector", ConnectorQuerySet]):
    queryset_class = ConnectorQuerySet


class Connector(OrgOwned):
    """Saved settings. `config` has the visible settings, `sealed` the secrets, `secret_hints` hints of the secrets."""

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
    sealed = models.TextField(
        blank=True
    )  # {path: secret}, encrypted for this connector, see apps.orgs.vault
    secret_hints = models.JSONField(default=dict)  # {path: last four characters}
    version = models.PositiveIntegerField(default=1)
    checked_at = models.DateTimeField(null=True, blank=True)
    check_ok = models.BooleanField(null=True)
    # When each certificate and token in the settings ends, see apps.connectors.configuration.ends_of.
    ends = models.JSONField(default=list, blank=True, db_default=[])
    created_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    objects: ClassVar[ConnectorManager] = ConnectorManager()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", "role", Lower("name"), name="connectors_connector_name"),
            models.CheckConstraint(
                condition=models.Q(role__in=ConnectorRole.values), name="connectors_connector_role"
            ),
            names.plain_text_check("name", name="connectors_connector_name_plain"),
            names.plain_text_check(
                "description", name="connectors_connector_text_plain", multiline=True
            ),
        ]
        indexes = [models.Index(fields=["org", "-created_at", "-id"], name="connectors_newest")]

    def __str__(self) -> str:
        return self.name


class Discovery(OrgOwned):
    """The streams that a saved source has offered, kept so that they are listed quickly."""

    connector = models.ForeignKey(Connector, models.CASCADE, related_name="+", db_constraint=False)
    # The settings and the code with which the streams were found. They are not used after a change.
    connector_version = models.PositiveIntegerField()
    code_version = models.PositiveIntegerField(null=True)
    streams = models.JSONField()  # a list of apps.engine.answers.Stream
    found_at = models.DateTimeField(default=timezone.now)

    class Meta(OrgOwned.Meta):
        verbose_name_plural = "discoveries"
        constraints = [
            models.UniqueConstraint(fields=["org", "connector"], name="connectors_discovery_once")
        ]


class UploadedFileColumns(TypedDict):
    id: UUID
    name: str
    size: int
    version: int
    uploaded_by__name: str | None
    created_at: datetime
    updated_at: datetime


class UploadedFileQuerySet(OrgQuerySet["UploadedFile"]):
    """Queries on uploaded files."""

    def complete(self) -> UploadedFileQuerySet:
        """Return the files that have content: not those whose first upload is being stored."""
        return self.filter(size__isnull=False)

    def matching(self, *, q: str = "") -> UploadedFileQuerySet:
        """Filter by a part of the name."""
        return self.filter(name__icontains=q) if q else self

    def rows(self) -> Rows[UploadedFile, UploadedFileColumns]:
        """Return rows for a list of files."""
        return self.columns(UploadedFileColumns)


class UploadedFileManager(OrgManager["UploadedFile", UploadedFileQuerySet]):
    queryset_class = UploadedFileQuerySet


class UploadedFile(OrgOwned):
    """A data file of the org, which the source `files` reads by its name. Its content is in the org's storage."""

    name = models.CharField(max_length=200)
    size = models.PositiveBigIntegerField(null=True)  # bytes; null until there is content
    version = models.PositiveIntegerField(default=1)  # increases with every replacement
    # What changes the content now: an upload or a deletion. Others wait until it ends or until `claimed_until`.
    claim = models.UUIDField(null=True)
    claimed_until = models.DateTimeField(null=True)
    uploaded_by = models.ForeignKey(User, models.SET_NULL, related_name="+", null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(default=timezone.now)  # when the content was stored

    objects: ClassVar[UploadedFileManager] = UploadedFileManager()

    class Meta(OrgOwned.Meta):
        constraints = [
            models.UniqueConstraint("org", Lower("name"), name="connectors_file_name"),
            names.plain_text_check("name", name="connectors_file_name_plain"),
            models.CheckConstraint(
                condition=models.Q(size__isnull=False) | models.Q(claim__isnull=False),
                name="connectors_file_has_content",
            ),
        ]
        indexes = [
            models.Index(fields=["org", "-updated_at", "-id"], name="connectors_file_newest"),
            models.Index(
                fields=["claimed_until"],
                condition=models.Q(claim__isnull=False),
                name="connectors_file_claimed",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class FileUpload(OrgOwned):
    """An upload that is received now, or was in the last hour. The limits of uploads count these rows."""

    bytes = models.PositiveBigIntegerField()  # the announced size
    # If this has passed, the process that receives the content has ended.
    alive_until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta(OrgOwned.Meta):
        indexes = [models.Index(fields=["org", "created_at"], name="connectors_upload_newest")]
