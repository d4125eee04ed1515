"""The verbs of custom sources: each one transaction, one audit event."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from apps.connectors.exceptions import (
    ComesFromRepository,
    CustomSourceInUse,
    CustomSourceNameTaken,
    OpenHostsNeedAnAdmin,
)
from apps.connectors.models import CustomSource, CustomSourceVersion, Origin, Repository
from apps.egress.allowlist import ANY
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission


@dataclass(frozen=True)
class Text:
    """Code with what validation read from it, and where it comes from."""

    code: str
    report: Mapping[str, Any]
    note: str = ""
    commit: str = ""
    author: str = ""

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.code.encode()).hexdigest()


def create(
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
    """A source with its first version. Raises CustomSourceNameTaken and OpenHostsNeedAnAdmin."""
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
        _add(org, by, source, text)
        _record(org, by, "custom_source.create", source, {"name": [None, name], **_of(text)})
        if approve:
            approve_version(org=org, by=by, source=source, number=1)
    return source


def update(
    *,
    org: Org,
    by: Principal,
    source: CustomSource,
    changes: Mapping[str, Any],
    text: Text | None = None,
    approve: bool = False,
) -> CustomSource:
    """Change name or description of a locked source, and add a version if the text differs from the latest."""
    changed: dict[str, Any] = {}
    for name in ("name", "description"):
        if name in changes and getattr(source, name) != changes[name]:
            changed[name] = [getattr(source, name), changes[name]]
            setattr(source, name, changes[name])
    with transaction.atomic():
        if text is not None and text.sha256 != version(org, source, source.latest).sha256:
            source.latest += 1
            _add(org, by, source, text)
            changed |= {"version": [source.latest - 1, source.latest], **_of(text)}
        if changed:
            source.etag += 1
            _save(source)
            _record(org, by, "custom_source.update", source, changed)
        if approve:
            approve_version(org=org, by=by, source=source, number=source.latest)
    return source


def approve_version(*, org: Org, by: Principal, source: CustomSource, number: int) -> CustomSource:
    """Let pipelines run this version, and make it what "latest approved" means.

    Raises OpenHostsNeedAnAdmin for code that may reach any host, unless `by` may change the org's settings.
    """
    chosen = version(org, source, number)
    require_open_hosts(by, chosen.report["hosts"])
    if source.approved == number:
        return source
    before, source.approved = source.approved, number
    chosen.approved_at, chosen.approved_by_id = timezone.now(), by.user_id
    with transaction.atomic():
        chosen.save(update_fields=["approved_at", "approved_by"])
        source.etag += 1
        _save(source)
        hosts = {"hosts": [None, chosen.report["hosts"]], "approved": [before, number]}
        _record(org, by, "custom_source.approve", source, hosts)
    return source


def require_own_code(source: CustomSource) -> None:
    """Raise ComesFromRepository for a source whose next sync would undo the change."""
    if source.repository_id is not None:
        raise ComesFromRepository


def require_open_hosts(by: Principal, hosts: Iterable[str]) -> None:
    """Raise OpenHostsNeedAnAdmin when code may reach any host and `by` may not change the org's settings."""
    if ANY in hosts and not by.may(Permission.SETTINGS_EDIT):
        raise OpenHostsNeedAnAdmin


def restore(*, org: Org, by: Principal, source: CustomSource, number: int) -> CustomSource:
    """A new version that equals an old one."""
    old = version(org, source, number)
    text = Text(old.code, old.report, note=f"Restored version {number}")
    return update(org=org, by=by, source=source, changes={}, text=text)


def set_archived(*, org: Org, by: Principal, source: CustomSource, archived: bool) -> CustomSource:
    """Put it away, or take it out again; pipelines that use it go on."""
    if (source.archived_at is not None) == archived:
        return source
    before = source.archived_at is not None
    source.archived_at = timezone.now() if archived else None
    source.etag += 1
    _save(source)
    _record(org, by, "custom_source.archive", source, {"archived": [before, archived]})
    return source


def delete(*, org: Org, by: Principal, source: CustomSource) -> None:
    """Remove it with its versions. Raises CustomSourceInUse naming what uses it."""
    pk = source.pk
    try:
        with transaction.atomic():
            source.delete()
    except ProtectedError as error:
        users = [
            {"id": str(row.pk), "name": str(row), "kind": row._meta.model_name or ""}
            for row in error.protected_objects
        ]
        users.sort(key=lambda user: user["name"])
        names = ", ".join(user["name"] for user in users[:5])
        raise CustomSourceInUse(f"It is used by {names}.", users=users) from None
    _record(org, by, "custom_source.delete", source, {"name": [source.name, None]}, pk=pk)


def version(org: Org, source: CustomSource, number: int) -> CustomSourceVersion:
    """Raises CustomSourceVersion.DoesNotExist."""
    found: CustomSourceVersion = (
        CustomSourceVersion.objects.for_org(org)
        .select_related("source")
        .get(source=source, number=number)
    )
    return found


def _add(org: Org, by: Principal, source: CustomSource, text: Text) -> None:
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
    """What the audit trail says of a text: not the text, which the versions keep."""
    return {"sha256": [None, text.sha256], "hosts": [None, text.report["hosts"]]}


def _save(source: CustomSource, *, new: bool = False) -> None:
    try:
        with transaction.atomic():
            source.save(force_insert=new)
    except IntegrityError as error:
        if "connectors_customsource_name" not in str(error):
            raise
        raise CustomSourceNameTaken from None


def _record(
    org: Org,
    by: Principal,
    action: str,
    source: CustomSource,
    changes: dict[str, Any],
    pk: UUID | None = None,
) -> None:
    audit.record(
        org=org,
        by=by,
        action=action,
        object_kind="custom_source",
        object_id=pk or source.pk,
        object_label=source.name,
        changes=changes,
    )
