"""Edits of a custom source whose row the caller has locked. Each adds one audit event.

Used by the services, by uploads and by repository syncs, which check permissions. Only the permission to allow
access to any host is checked here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apps.connectors.custom_sources.texts import Text
from apps.connectors.exceptions import CustomSourceNameTaken, OpenHostsNeedAnAdmin
from apps.connectors.models import CustomSource, CustomSourceVersion, Origin, Repository
from apps.egress.allowlist import ANY_HOST
from apps.orgs import audit
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission

HIGHEST = 2**31 - 1  # the largest version number that the database's type allows


def add(
    *,
    org: Org,
    by: Principal,
    name: str,
    text: Text,
    description: str = "",
    origin: str = Origin.EDITOR,
    repository: Repository | None = None,
    repository_path: str = "",
    approve: bool = False,
) -> CustomSource:
    """Create a source with its first version. Raises CustomSourceNameTaken and OpenHostsNeedAnAdmin."""
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
        _add_version(org, by, source, text)
        record(org, by, "custom_source.create", source, {"name": [None, name], **_of(text)})
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
    text: Text | None = None,
    approve: bool = False,
) -> None:
    """Change name or description, and add a version if the text differs from the latest. None leaves it alone."""
    changed: dict[str, Any] = {}
    for field, value in (("name", name), ("description", description)):
        if value is not None and getattr(source, field) != value:
            changed[field] = [getattr(source, field), value]
            setattr(source, field, value)
    with transaction.atomic():
        if text is not None and text.sha256 != version(org, source, source.latest).sha256:
            source.latest += 1
            _add_version(org, by, source, text)
            changed |= {"version": [source.latest - 1, source.latest], **_of(text)}
        if changed:
            source.etag += 1
            _save(source)
            record(org, by, "custom_source.update", source, changed)
        if approve:
            approve_version(org=org, by=by, source=source, number=source.latest)


def approve_version(*, org: Org, by: Principal, source: CustomSource, number: int) -> None:
    """Allow pipelines to run this version, and make it the latest approved one.

    Raises OpenHostsNeedAnAdmin for code that may connect to any host, unless `by` may change the org's
    settings.
    """
    chosen = version(org, source, number)
    require_open_hosts(by, chosen.report["hosts"])
    if source.approved == number:
        return
    before, source.approved = source.approved, number
    chosen.approved_at, chosen.approved_by_id = timezone.now(), by.user_id
    with transaction.atomic():
        chosen.save(update_fields=["approved_at", "approved_by"])
        source.etag += 1
        _save(source)
        hosts = {"hosts": [None, chosen.report["hosts"]], "approved": [before, number]}
        record(org, by, "custom_source.approve", source, hosts)


def require_open_hosts(by: Principal, hosts: Iterable[str]) -> None:
    """Raise OpenHostsNeedAnAdmin if the code may connect to any host and `by` may not change the org's settings."""
    if ANY_HOST in hosts and not by.may(Permission.SETTINGS_EDIT):
        raise OpenHostsNeedAnAdmin


def set_archived(*, org: Org, by: Principal, source: CustomSource, archived: bool) -> None:
    """Archive the source, or restore it; pipelines that use it keep running."""
    before = source.archived_at is not None
    if before == archived:
        return
    source.archived_at = timezone.now() if archived else None
    source.etag += 1
    _save(source)
    record(org, by, "custom_source.archive", source, {"archived": [before, archived]})


def version(org: Org, source: CustomSource, number: int) -> CustomSourceVersion:
    """Return a version. Raises NotFound."""
    rows = CustomSourceVersion.objects.for_org(org).filter(source=source)
    rows = rows.filter(number=min(number, HIGHEST)).select_related("source")
    found: CustomSourceVersion | None = rows.first()
    if found is None:
        raise NotFound
    return found


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


def _add_version(org: Org, by: Principal, source: CustomSource, text: Text) -> None:
    CustomSourceVersion(
        org=org,
        source=source,
        number=source.latest,
        code=text.code,
        sha256=text.sha256,
        report=dict(text.report),
        note=text.note,
        commit=text.commit,
        author=text.author,
        created_by_id=by.user_id,
    ).save(force_insert=True)


def _of(text: Text) -> dict[str, Any]:
    """Return what the audit log stores of a text: not the text itself, which the versions keep."""
    return {"sha256": [None, text.sha256], "hosts": [None, text.report["hosts"]]}


def _save(source: CustomSource, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            source.save(force_insert=new)
    except IntegrityError as error:
        if "connectors_customsource_name" not in str(error):
            raise
        raise CustomSourceNameTaken from None
