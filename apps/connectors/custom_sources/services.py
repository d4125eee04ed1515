"""Actions on custom sources, each in one transaction.

Each action takes ids. It raises NotFound for objects that `by` cannot see, and PermissionMissing if `by` lacks the
permission. Actions with the argument `checked` raise CodeUnchecked for code that is not validated (`checked_code`).
"""

from __future__ import annotations

from typing import TypedDict
from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError

from apps.connectors.custom_sources import edits
from apps.connectors.custom_sources.checked_code import CheckedCode, require_checked
from apps.connectors.exceptions import ComesFromRepository, CustomSourceInUse
from apps.connectors.models import CustomSource, CustomSourceQuerySet
from apps.orgs.models import Org
from apps.orgs.placement import find_object
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.versions import Match, require_match


class SourceChanges(TypedDict, total=False):
    """Changes of a custom source. `note` belongs to `code`."""

    name: str
    description: str
    archived: bool
    code: str
    note: str


def sources(org: Org, by: Principal) -> CustomSourceQuerySet:
    """Return the custom sources that the principal can see.

    Custom sources belong to the whole org, so an API key for one domain sees none of them.
    """
    rows = CustomSource.objects.for_org(org)
    return rows.none() if by.only_domain else rows


def find_source(*, org: Org, by: Principal, source_id: UUID) -> CustomSource:
    """Return the source. Raises NotFound."""
    source: CustomSource = find_object(sources(org, by), source_id)
    return source


def create(
    *,
    org: Org,
    by: Principal,
    name: str,
    code: str,
    note: str = "",
    description: str = "",
    approve: bool = False,
    checked: CheckedCode | None = None,
) -> CustomSource:
    """Create a source with its first version. Raises CustomSourceNameTaken and AnyHostNeedsAdmin."""
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    checked_code = require_checked(org.pk, code, note, checked)
    return edits.add(
        org=org,
        by=by,
        name=name,
        checked_code=checked_code,
        description=description,
        approve=approve,
    )


def update(
    *,
    org: Org,
    by: Principal,
    source_id: UUID,
    changes: SourceChanges,
    approve: bool = False,
    match: Match = None,
    checked: CheckedCode | None = None,
) -> CustomSource:
    """Apply `changes` (name, description, archived, code with its note).

    If the code differs from the latest version, it becomes a new version. `approve` approves the latest version.
    Raises ChangedMeanwhile, ComesFromRepository, CustomSourceNameTaken and AnyHostNeedsAdmin.
    """
    with transaction.atomic():
        source = _lock_editable(org, by, source_id, match)
        checked_code = None
        if "code" in changes:
            _require_no_repository(source)
            note = changes.get("note", "")
            checked_code = require_checked(org.pk, changes["code"], note, checked)
        if "archived" in changes:
            edits.set_archived(org=org, by=by, source=source, archived=changes["archived"])
        edits.change(
            org=org,
            by=by,
            source=source,
            name=changes.get("name"),
            description=changes.get("description"),
            checked_code=checked_code,
            approve=approve,
        )
    return source


def approve(
    *, org: Org, by: Principal, source_id: UUID, number: int, match: Match = None
) -> CustomSource:
    """Allow pipelines to run this version. Raises ChangedMeanwhile, and AnyHostNeedsAdmin."""
    with transaction.atomic():
        source = _lock_editable(org, by, source_id, match)
        edits.approve_version(org=org, by=by, source=source, number=number)
    return source


def restore(
    *, org: Org, by: Principal, source_id: UUID, number: int, match: Match = None
) -> CustomSource:
    """Create a new version with the code of an old version. Raises ChangedMeanwhile and ComesFromRepository."""
    with transaction.atomic():
        source = _lock_editable(org, by, source_id, match)
        old = edits.find_version(org, source, number)
        _require_no_repository(source)
        checked_code = CheckedCode(old.code, old.report, note=f"Restored version {number}")
        edits.change(org=org, by=by, source=source, checked_code=checked_code)
    return source


def delete(*, org: Org, by: Principal, source_id: UUID, match: Match = None) -> None:
    """Delete a source with its versions.

    Raises ChangedMeanwhile, and CustomSourceInUse with the objects that use the source.
    """
    with transaction.atomic():
        source = _lock_editable(org, by, source_id, match)
        try:
            source.delete()
        except ProtectedError as error:
            raise _in_use_error(error) from None
        audited = {"name": [source.name, None]}
        edits.record(org, by, "custom_source.delete", source, audited, pk=source_id)


def _lock_editable(org: Org, by: Principal, source_id: UUID, match: Match) -> CustomSource:
    """Lock and return the source, if the principal may edit it and it has not changed since the caller read it."""
    source = find_object(sources(org, by), source_id, lock=True)
    by.require(Permission.CUSTOM_SOURCES_EDIT)
    require_match(match, source.etag)
    return source


def _require_no_repository(source: CustomSource) -> None:
    """Raise ComesFromRepository if the source belongs to a repository, because the next sync would undo the change."""
    if source.repository_id is not None:
        raise ComesFromRepository


def _in_use_error(error: ProtectedError) -> CustomSourceInUse:
    dependents = [
        {"id": str(row.pk), "name": str(row), "kind": row._meta.model_name or ""}
        for row in error.protected_objects
    ]
    dependents.sort(key=lambda dependent: dependent["name"])
    names = ", ".join(dependent["name"] for dependent in dependents[:5])
    return CustomSourceInUse(f"It is used by {names}.", users=dependents)
