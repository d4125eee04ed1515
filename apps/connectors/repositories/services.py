"""Actions on connected Git repositories, each in one transaction: connect, change, request a sync, disconnect.

Each action takes ids. It raises NotFound for objects that `by` cannot see, and PermissionMissing if `by` lacks the
permission.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from procrastinate.exceptions import AlreadyEnqueued

from apps.auth.constraints import refused_as
from apps.background import jobs
from apps.connectors.exceptions import RepositoryConnected
from apps.connectors.models import Repository, SyncStatus
from apps.connectors.repositories import sealed
from apps.connectors.repositories.syncs import LOCATION_FIELDS
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match

SYNC_TASK = "connectors.sync_repository"
QUEUE = "repositories"  # a queue of its own, because reading a repository may take two minutes
SETTING_FIELDS = (*LOCATION_FIELDS, "approves")


def repositories(org: Org, by: Principal) -> QuerySet[Repository]:
    """Return the repositories that the principal can see.

    Repositories belong to the whole org, so an API key for one domain sees none of them.
    """
    rows = Repository.objects.for_org(org)
    return rows.none() if by.only_domain else rows


def find_repository(*, org: Org, by: Principal, repository_id: UUID) -> Repository:
    """Return the repository. Raises NotFound."""
    repository: Repository = find_object(repositories(org, by), repository_id)
    return repository


def connect(*, org: Org, by: Principal, fields: Mapping[str, Any]) -> tuple[Repository, str]:
    """Connect a repository.

    Returns the repository and the secret of its webhook, which is shown only once. Raises RepositoryConnected.
    """
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    repository = Repository(org=org, created_by_id=by.user_id)
    for name in SETTING_FIELDS:
        setattr(repository, name, fields[name])
    webhook_secret = secrets.token_urlsafe(32)
    secret_values = {"token": fields.get("token", ""), "webhook_secret": webhook_secret}
    sealed.seal(org, repository, secret_values)
    with transaction.atomic():
        _save(repository, is_new=True)
        changes = {name: [None, getattr(repository, name)] for name in SETTING_FIELDS}
        _record(org, by, "repository.create", repository, changes)
        _enqueue_sync(org=org, by=by, repository=repository)
    return repository, webhook_secret


def change(
    *,
    org: Org,
    by: Principal,
    repository_id: UUID,
    changes: Mapping[str, Any],
    match: Match = None,
) -> Repository:
    """Change the repository and sync it again. If the URL changes, the token is required again.

    Raises ChangedMeanwhile, Invalid and RepositoryConnected.
    """
    with transaction.atomic():
        repository = _lock_editable(org, by, repository_id, match)
        if audited_changes := _apply_changes(org, repository, changes):
            repository.etag += 1
            # Ignore the result of a running sync, because it reads the old location.
            repository.claim = None
            _save(repository)
            _record(org, by, "repository.update", repository, audited_changes)
            _enqueue_sync(org=org, by=by, repository=repository)
    return repository


def renew_webhook_secret(*, org: Org, by: Principal, repository_id: UUID) -> str:
    """Create a new webhook secret. The old secret becomes invalid."""
    webhook_secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        repository = _lock_editable(org, by, repository_id)
        secret_values = sealed.unseal(org, repository)
        sealed.seal(org, repository, {**secret_values, "webhook_secret": webhook_secret})
        repository.etag += 1
        _save(repository)
        _record(org, by, "repository.renew_webhook_secret", repository, {})
    return webhook_secret


def disconnect(*, org: Org, by: Principal, repository_id: UUID, match: Match = None) -> None:
    """Disconnect a repository. Raises ChangedMeanwhile.

    Its custom sources and their versions are not deleted. Afterwards, users can edit these sources.
    """
    with transaction.atomic():
        repository = _lock_editable(org, by, repository_id, match)
        repository.delete()
        audit.record(
            org=org,
            by=by,
            action="repository.delete",
            object_kind="repository",
            object_id=repository_id,
            object_label=str(repository),
            changes={name: [getattr(repository, name), None] for name in SETTING_FIELDS},
        )


def request_sync(*, org: Org, by: Principal, repository_id: UUID) -> Repository:
    """Request a sync, unless a sync is already waiting."""
    with transaction.atomic():
        repository = _lock_editable(org, by, repository_id)
        _enqueue_sync(org=org, by=by, repository=repository)
    return repository


def _enqueue_sync(*, org: Org, by: Principal, repository: Repository) -> None:
    """Request a sync of a locked repository, unless a sync is already waiting."""
    lock = f"repository:{repository.pk}"
    arguments = {"org_id": str(org.pk), "repository_id": str(repository.pk)}
    with transaction.atomic():
        try:
            with transaction.atomic():
                jobs.defer(SYNC_TASK, queue=QUEUE, arguments=arguments, lock=lock)
        except AlreadyEnqueued:
            return
        if repository.status != SyncStatus.RUNNING:
            repository.status = SyncStatus.WAITING
            repository.save(update_fields=["status"])
        _record(org, by, "repository.sync", repository, {})


def _lock_editable(org: Org, by: Principal, repository_id: UUID, match: Match = None) -> Repository:
    """Lock and return the repository, if the principal may edit it and it has not changed since the caller read it."""
    repository = find_object(repositories(org, by), repository_id, lock=True)
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    require_match(match, repository.etag)
    return repository


def _apply_changes(org: Org, repository: Repository, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set the changed values, and return the changes for the audit log. Raises Invalid."""
    secret_values = sealed.unseal(org, repository)
    audited_changes: dict[str, Any] = {}
    for name in SETTING_FIELDS:
        if name in changes and changes[name] != getattr(repository, name):
            audited_changes[name] = [getattr(repository, name), changes[name]]
            setattr(repository, name, changes[name])
    if "url" in audited_changes and secret_values["token"] and "token" not in changes:
        raise Invalid(
            [("token", "Enter the token again, because the URL has changed.", "required")]
        )
    if "token" in changes and changes["token"] != secret_values["token"]:
        old_hint = sealed.token_hint(repository)
        sealed.seal(org, repository, {**secret_values, "token": changes["token"]})
        audited_changes["token"] = [old_hint, sealed.token_hint(repository)]
    return audited_changes


def _save(repository: Repository, *, is_new: bool = False) -> None:
    with refused_as(RepositoryConnected, "connectors_repository_place"):
        repository.save(force_insert=is_new)


def _record(
    org: Org, by: Principal, action: str, repository: Repository, changes: dict[str, Any]
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="repository",
        object_id=repository.pk,
        object_label=str(repository),
        changes=changes,
    )
