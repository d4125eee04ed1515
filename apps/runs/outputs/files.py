"""List and read the files that a run published."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import UUID

from django.core.files import File
from django.core.files.storage import default_storage

from apps.orgs import audit
from apps.orgs.exceptions import NotFound
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.runs import visibility
from apps.runs.models import Output, Run
from apps.runs.outputs import databases, storage


def list_files(*, org: Org, by: Principal, run_id: UUID) -> Any:
    """Return the run's files as a QuerySet, ordered by name. Raises NotFound.

    A key that is limited to a domain does not get a shared DuckDB file, which has tables of all domains.
    """
    visibility.find_run(org=org, by=by, run_id=run_id)
    rows = Output.objects.for_org(org).filter(run_id=run_id).order_by("name")
    if by.only_domain is not None:
        rows = rows.exclude(key__startswith=_shared_folder(org))
    return rows


def _shared_folder(org: Org) -> str:
    """Return the start of the keys of files that have tables of pipelines of all domains."""
    return f"{storage.databases_root(org.pk).prefix}/"


@dataclass(frozen=True, slots=True)
class Download:
    """A file to download: either the open file, or a short-lived URL of the object store."""

    name: str  # without folders
    media_type: str
    file: File[bytes] | None = None
    url: str | None = None


def prepare_download(
    *, org: Org, by: Principal, run_id: UUID, name: str, link: bool
) -> SlowCall[Download]:
    """Return the call that opens a run's file for download.

    With `link` the download is a URL if the object store supports URLs. Both this function and the call raise
    NotFound, because the file may be removed in between. Raises PermissionMissing; a shared DuckDB file, which has tables
    of all domains, needs the permission in the organization. Each download is in the audit log.
    """
    find = partial(visibility.find_permitted_run, Permission.DATA_VIEW, org=org, run_id=run_id)
    run = find(by=by)
    output: Output | None = list_files(org=org, by=by, run_id=run_id).filter(name=name).first()
    if output is None:
        raise NotFound
    is_shared = output.key.startswith(_shared_folder(org))

    def require_access(principal: Principal) -> None:
        find(by=principal)
        if is_shared:
            principal.require(Permission.DATA_VIEW)

    require_access(by)
    return SlowCall(
        partial(_open_download, output, link=link),
        require_access,
        lambda download: _record(org, by, run, name),
    )


def _record(org: Org, by: Principal, run: Run, name: str) -> None:
    audit.record(
        org=org,
        by=by,
        action="data.downloaded",
        object_kind="run",
        object_id=run.pk,
        object_label=run.pipeline.name,
        changes={"file": [None, name]},
    )


def _open_download(output: Output, *, link: bool) -> Download:
    """Open the file, or create the URL. Uses storage only, not the database. Raises NotFound and DatabaseBusy."""
    name = output.name.rpartition("/")[2]
    url = storage.signed_url(output.key, name=name) if link else None
    if url:
        return Download(name, output.media_type, url=url)
    try:
        if databases.is_copied(output):
            return Download(name, output.media_type, file=File(databases.copy(output.key)))
        return Download(name, output.media_type, file=default_storage.open(output.key, "rb"))
    except FileNotFoundError:
        raise NotFound from None
