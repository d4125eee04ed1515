"""The verbs of connected Git repositories: connect, change, ask for a sync, disconnect. Each one transaction.

Each takes ids and raises NotFound for what `by` cannot see, and PermissionMissing for what it may not do.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from procrastinate.exceptions import AlreadyEnqueued

from apps.background import jobs
from apps.connectors.exceptions import RepositoryConnected
from apps.connectors.models import Repository, SyncStatus
from apps.connectors.repositories import sealed
from apps.connectors.repositories.syncs import PLACE
from apps.orgs import audit
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import one
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match

SYNC = "connectors.sync_repository"
QUEUE = "repositories"  # reading one may take two minutes
SETTINGS = (*PLACE, "approves")


def repositories(org: Org, by: Principal) -> QuerySet[Repository]:
    """The repositories that the principal can see. They belong to the whole org: a key for one domain sees none."""
    rows = Repository.objects.for_org(org)
    return rows.none() if by.only_domain else rows


def readable(*, org: Org, by: Principal, repository_id: UUID) -> Repository:
    """Raises NotFound."""
    found: Repository = one(repositories(org, by), repository_id)
    return found


def connect(*, org: Org, by: Principal, fields: Mapping[str, Any]) -> tuple[Repository, str]:
    """The repository, and the secret its webhook signs with, which is shown once. Raises RepositoryConnected."""
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    repository = Repository(org=org, created_by_id=by.user_id)
    for name in SETTINGS:
        setattr(repository, name, fields[name])
    webhook_secret = secrets.token_urlsafe(32)
    plain = {"token": fields.get("token", ""), "webhook_secret": webhook_secret}
    sealed.seal(org, repository, plain)
    with transaction.atomic():
        _save(repository, new=True)
        changes = {name: [None, getattr(repository, name)] for name in SETTINGS}
        _record(org, by, "repository.create", repository, changes)
        ask(org=org, by=by, repository=repository)
    return repository, webhook_secret


def change(
    *,
    org: Org,
    by: Principal,
    repository_id: UUID,
    changes: Mapping[str, Any],
    match: Match = None,
) -> Repository:
    """Change it and read it again. Its token stays only where it was for: another address asks for it again.

    Raises ChangedMeanwhile, Invalid and RepositoryConnected.
    """
    with transaction.atomic():
        repository = _editable(org, by, repository_id, match)
        if changed := _apply(org, repository, changes):
            repository.etag += 1
            repository.claim = None  # what is being read now is another place's
            _save(repository)
            _record(org, by, "repository.update", repository, changed)
            ask(org=org, by=by, repository=repository)
    return repository


def renew_webhook_secret(*, org: Org, by: Principal, repository_id: UUID) -> str:
    """A new secret; the old one signs nothing any more."""
    webhook_secret = secrets.token_urlsafe(32)
    with transaction.atomic():
        repository = _editable(org, by, repository_id)
        plain = sealed.unseal(org, repository)
        sealed.seal(org, repository, {**plain, "webhook_secret": webhook_secret})
        repository.etag += 1
        _save(repository)
        _record(org, by, "repository.renew_webhook_secret", repository, {})
    return webhook_secret


def disconnect(*, org: Org, by: Principal, repository_id: UUID, match: Match = None) -> None:
    """Its sources stay, with their versions, and can be edited from now on. Raises ChangedMeanwhile."""
    with transaction.atomic():
        repository = _editable(org, by, repository_id, match)
        repository.delete()
        audit.record(
            org=org,
            by=by,
            action="repository.delete",
            object_kind="repository",
            object_id=repository_id,
            object_label=str(repository),
            changes={name: [getattr(repository, name), None] for name in SETTINGS},
        )


def ask_for_sync(*, org: Org, by: Principal, repository_id: UUID) -> Repository:
    """Have it read soon."""
    with transaction.atomic():
        repository = _editable(org, by, repository_id)
        ask(org=org, by=by, repository=repository)
    return repository


def ask(*, org: Org, by: Principal, repository: Repository) -> None:
    """Have a locked repository read soon. A sync that waits already serves everybody who asked."""
    lock = f"repository:{repository.pk}"
    about = {"org_id": str(org.pk), "repository_id": str(repository.pk)}
    with transaction.atomic():
        try:
            with transaction.atomic():
                jobs.defer(SYNC, queue=QUEUE, about=about, lock=lock)
        except AlreadyEnqueued:
            return
        if repository.status != SyncStatus.RUNNING:
            repository.status = SyncStatus.WAITING
            repository.save(update_fields=["status"])
        _record(org, by, "repository.sync", repository, {})


def _editable(org: Org, by: Principal, repository_id: UUID, match: Match = None) -> Repository:
    """The repository, locked, if the principal may edit it and it has not changed since the caller read it."""
    found = one(repositories(org, by), repository_id, lock=True)
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    require_match(match, found.etag)
    return found


def _apply(org: Org, repository: Repository, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Set what differs, and answer it for the audit trail. Raises Invalid."""
    plain = sealed.unseal(org, repository)
    changed: dict[str, Any] = {}
    for name in SETTINGS:
        if name in changes and changes[name] != getattr(repository, name):
            changed[name] = [getattr(repository, name), changes[name]]
            setattr(repository, name, changes[name])
    if "url" in changed and plain["token"] and "token" not in changes:
        raise Invalid([("token", "Another address needs the token again.", "required")])
    if "token" in changes and changes["token"] != plain["token"]:
        before = sealed.hint(repository)
        sealed.seal(org, repository, {**plain, "token": changes["token"]})
        changed["token"] = [before, sealed.hint(repository)]
    return changed


def _save(repository: Repository, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            repository.save(force_insert=new)
    except IntegrityError as error:
        if "connectors_repository_place" not in str(error):
            raise
        raise RepositoryConnected from None


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
