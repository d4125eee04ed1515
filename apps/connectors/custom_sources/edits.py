"""Edits of custom sources, with their audit events. The caller has locked the row of an existing source.

The callers (services, uploads and repository syncs) check permissions. This module checks only the permission to
allow access to any host.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apps.auth.constraints import refused_as
from apps.connectors.custom_sources.checked_code import CheckedCode
from apps.connectors.exceptions import AnyHostNeedsAdmin, CustomSourceNameTaken
from apps.connectors.models import CustomSource, CustomSourceVersion, Origin, Repository
from apps.egress.allowlist import ANY_HOST
from apps.orgs import audit
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission

MAX_VERSION_NUMBER = 2**31 - 1  # the largest number that the database column can store


def add(
    *,
    org: Org,
    by: Principal,
    name: str,
    checked_code: CheckedCode,
    description: str = "",
    origin: str = Origin.EDITOR,
    repository: Repository | None = None,
    repository_path: str = "",
    approve: bool = False,
) -> CustomSource:
    """Create a source with its first version. Raises CustomSourceNameTaken and AnyHostNeedsAdmin."""
    source = CustomSource(
        org=org,
        name=name,
        description=description,
        origin=origin,
        repository=repository,
        repository_path=repository_path,
        created_by_id=by.user_id,
    )
    with transaction.atomic():
        _save(source, new=True)
        _add_version(org, by, source, checked_code)
        changes = {"name": [None, name], **_audited_code(None, checked_code)}
        record(org, by, "custom_source.create", source, changes)
        if approve:
            approve_version(org=org, by=by, source=source, number=1)
    return source


def change(
    *,
    org: Org,
    by: Principal,
    source: CustomSource,
    name: str | None = None,
    description: str | None = None,
    checked_code: CheckedCode | None = None,
    approve: bool = False,
) -> None:
    """Change name and description, and add a version if the code differs from the latest version.

    A value of None means no change. With `approve`, the latest version is approved.
    """
    changes: dict[str, Any] = {}
    for field, value in (("name", name), ("description", description)):
        if value is not None and getattr(source, field) != value:
            changes[field] = [getattr(source, field), value]
            setattr(source, field, value)
    with transaction.atomic():
        if checked_code is not None:
            changes |= _add_changed_version(org, by, source, checked_code)
        if changes:
            source.etag += 1
            _save(source)
            record(org, by, "custom_source.update", source, changes)
        if approve:
            approve_version(org=org, by=by, source=source, number=source.latest)


def approve_version(*, org: Org, by: Principal, source: CustomSource, number: int) -> None:
    """Allow pipelines to run this version. Pipelines that name no version run it from now on.

    Raises AnyHostNeedsAdmin for code that may connect to any host, unless `by` may change the org's
    settings.
    """
    version = find_version(org, source, number)
    require_permission_for_any_host(by, version.report["hosts"])
    if source.approved == number:
        return
    before, source.approved = source.approved, number
    hosts_before = None if before is None else find_version(org, source, before).report["hosts"]
    version.approved_at, version.approved_by_id = timezone.now(), by.user_id
    with transaction.atomic():
        version.save(update_fields=["approved_at", "approved_by"])
        source.etag += 1
        _save(source)
        hosts = [hosts_before, version.report["hosts"]]
        changes = {"hosts": hosts, "approved": [before, number]}
        record(org, by, "custom_source.approve", source, changes)


def require_permission_for_any_host(by: Principal, hosts: Iterable[str]) -> None:
    """Raise AnyHostNeedsAdmin if the code may connect to any host and `by` may not change the org's settings."""
    if ANY_HOST in hosts and not by.may(Permission.SETTINGS_EDIT):
        raise AnyHostNeedsAdmin


def set_archived(*, org: Org, by: Principal, source: CustomSource, archived: bool) -> None:
    """Archive the source, or restore it; pipelines that use it keep running."""
    was_archived = source.archived_at is not None
    if was_archived == archived:
        return
    source.archived_at = timezone.now() if archived else None
    source.etag += 1
    _save(source)
    record(org, by, "custom_source.archive", source, {"archived": [was_archived, archived]})


def find_version(org: Org, source: CustomSource, number: int) -> CustomSourceVersion:
    """Return a version. Raises NotFound."""
    rows = CustomSourceVersion.objects.for_org(org).filter(source=source)
    rows = rows.filter(number=min(number, MAX_VERSION_NUMBER)).select_related("source")
    version: CustomSourceVersion | None = rows.first()
    if version is None:
        raise NotFound
    return version


def record(
    org: Org,
    by: Principal,
    action: str,
    source: CustomSource,
    changes: dict[str, Any],
    pk: UUID | None = None,
) -> None:
    """Add an audit event. `pk` is the source's id if the source was deleted."""
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="custom_source",
        object_id=pk or source.pk,
        object_label=source.name,
        changes=changes,
    )


def _add_version(org: Org, by: Principal, source: CustomSource, checked_code: CheckedCode) -> None:
    CustomSourceVersion(
        org=org,
        source=source,
        number=source.latest,
        code=checked_code.code,
        sha256=checked_code.sha256,
        report=dict(checked_code.report),
        note=checked_code.note,
        commit=checked_code.commit,
        author=checked_code.author,
        created_by_id=by.user_id,
    ).save(force_insert=True)


def _add_changed_version(
    org: Org, by: Principal, source: CustomSource, checked_code: CheckedCode
) -> dict[str, Any]:
    """Add a version unless its code is that of the latest version. Returns the changes for the audit log."""
    latest = find_version(org, source, source.latest)
    if latest.sha256 == checked_code.sha256:
        return {}
    source.latest += 1
    _add_version(org, by, source, checked_code)
    return {"version": [latest.number, source.latest], **_audited_code(latest, checked_code)}


def _audited_code(before: CustomSourceVersion | None, code: CheckedCode) -> dict[str, Any]:
    """Return the changes for the audit log. They leave out the code, which is stored in the versions."""
    changes: dict[str, Any] = {"sha256": [before.sha256 if before else None, code.sha256]}
    hosts_before, hosts = before.report["hosts"] if before else None, code.report["hosts"]
    return changes if hosts_before == hosts else {**changes, "hosts": [hosts_before, hosts]}


def _save(source: CustomSource, *, new: bool = False) -> None:
    with refused_as(CustomSourceNameTaken, "connectors_customsource_name"):
        source.save(force_insert=new)
