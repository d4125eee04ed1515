"""Read records at the destination, for a member who looks at them. Each look is in the audit log.

The table is that of a run that has published it, with the definition of that run. So nobody can look at a table of the
destination that no run of the pipeline has written. If the pipeline has left the table and another one writes it now,
the records are for members who may look at those of the other pipeline too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from django.core import signing
from django.db.models import QuerySet

from apps.connectors.models import Connector
from apps.connectors.storage import data_root
from apps.engine.contract import DestinationSpec
from apps.engine.targets import READABLE_KINDS
from apps.orgs import audit
from apps.orgs.models import Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.pipelines import specs, targets
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline, PipelineVersion
from apps.runs import visibility
from apps.runs.arrived.reading import StoredPage, read_rows
from apps.runs.exceptions import DestinationDeleted, NotReadable, WrittenByAnother
from apps.runs.models import ORDINARY_RUNS, Run, RunStream, Status

LOOK_SECONDS = 3600  # for this time, further pages belong to the same look
_SALT = "drover.look"


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Records from `offset` on. `look` is the token of the first page, so that further pages are not audited again.

    With `column`, only this column is read, with longer texts.
    """

    offset: int
    limit: int
    column: str | None = None
    look: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """Records of a stream, as they are stored now, and the run that has written it. `page` is None if none has.

    `streams` are those whose records can be shown, only with the first page.
    """

    stream: str
    table: str
    kind: str
    run_id: UUID | None
    written_at: datetime | None
    page: StoredPage | None
    token: str
    streams: Sequence[str] = ()


NOTHING = Look("", "", "", None, None, None, "")
RECENT_RUNS = 20


def look_at_pipeline(
    *, org: Org, by: Principal, pipeline_id: UUID, stream: str | None, page: PageRequest
) -> SlowCall[Look]:
    """Return the call that reads records of the last run that has written the stream, by default the first one.

    Raises NotFound, PermissionMissing, NotReadable, DestinationDeleted and WrittenByAnother.
    """
    find = partial(visibility.find_permitted_pipeline, Permission.DATA_VIEW, org=org)
    pipeline = find(by=by, pipeline_id=pipeline_id)
    rows = _published(org).filter(run__pipeline_id=pipeline.pk)
    runs = Run.objects.for_org(org).filter(ORDINARY_RUNS, pipeline_id=pipeline.pk)
    recent = list(runs.order_by("-created_at", "-id").values_list("pk", flat=True)[:RECENT_RUNS])
    return _prepare(
        org,
        rows.filter(run__backfill=None).order_by("-run__created_at", "-run__id", "position"),
        rows.filter(run_id__in=recent),
        stream,
        page,
        by,
        lambda principal: find(by=principal, pipeline_id=pipeline_id),
    )


def look_at_run(
    *, org: Org, by: Principal, run_id: UUID, stream: str | None, page: PageRequest
) -> SlowCall[Look]:
    """Return the call that reads records of the table that the run has written. Raises as `look_at_pipeline`."""
    find = partial(visibility.find_permitted_run, Permission.DATA_VIEW, org=org)
    run = find(by=by, run_id=run_id)
    rows = _published(org).filter(run_id=run.pk).order_by("position")
    return _prepare(
        org, rows, rows, stream, page, by, lambda principal: find(by=principal, run_id=run_id)
    )


def _published(org: Org) -> QuerySet[RunStream]:
    rows: QuerySet[RunStream] = RunStream.objects.for_org(org)
    return rows.filter(status=Status.SUCCEEDED).select_related("run__pipeline")


def _prepare(
    org: Org,
    rows: QuerySet[RunStream],
    others: QuerySet[RunStream],
    stream: str | None,
    request: PageRequest,
    by: Principal,
    recheck_access: Callable[[Principal], object],
) -> SlowCall[Look]:
    """Return the call that reads the table of the first of the rows, those of the stream if there is one."""
    row = (rows if stream is None else rows.filter(name=stream)).first()
    if row is None:
        return SlowCall(lambda: NOTHING, recheck_access)
    pipeline: Pipeline = row.run.pipeline
    version = versions.get_version(org, pipeline, row.run.version)
    destination = _destination_of(org, version, row.table)
    _require_permitted_writers(org, by, version, row)
    if destination.kind not in READABLE_KINDS:
        raise NotReadable
    signer = signing.TimestampSigner(salt=_SALT)
    seen = f"{by.actor.id}/{row.pk}"
    is_same_look = _is_signed(signer, request.look, seen)
    names = () if request.offset else _names(others)

    def read() -> Look:
        page = read_rows(
            org_id=org.pk,
            destination=destination,
            data=data_root(org.pk, row.run.pipeline_id),
            offset=request.offset,
            limit=request.limit,
            column=request.column,
        )
        new_token = signer.sign(seen) if page["ok"] else ""
        token = request.look if is_same_look else new_token
        return Look(
            row.name, row.table, destination.kind, row.run_id, row.finished_at, page, token, names
        )

    def record(look: Look) -> None:
        if look.page is not None and look.page["ok"] and not is_same_look:
            _record(org, by, row)

    return SlowCall(read, recheck_access, record)


def _names(rows: QuerySet[RunStream]) -> Sequence[str]:
    """Return the names of the streams, in the order of the definition."""
    return list(dict.fromkeys(rows.order_by("position", "name").values_list("name", flat=True)))


def _is_signed(signer: signing.TimestampSigner, token: str, value: str) -> bool:
    try:
        return bool(signer.unsign(token, max_age=LOOK_SECONDS) == value)
    except signing.BadSignature:
        return False


def _record(org: Org, by: Principal, row: RunStream) -> None:
    audit.record(
        org=org,
        by=by,
        action="data.viewed",
        object_kind="pipeline",
        object_id=row.run.pipeline_id,
        object_label=row.run.pipeline.name,
        changes={
            "stream": [None, row.name],
            "table": [None, row.table],
            "run": [None, str(row.run_id)],
        },
    )


def _require_permitted_writers(
    org: Org, by: Principal, version: PipelineVersion, row: RunStream
) -> None:
    """Raise WrittenByAnother if another pipeline has got the table, and its records are not for the principal."""
    destination = targets.destination_of(org, version.definition, own_database=version.own_database)
    target = destination.target_of(row.table)
    others = targets.other_writers_by_target(org, {target}, row.run.pipeline_id).get(target, ())
    if not all(by.may(Permission.DATA_VIEW, domain_id=other.domain_id) for other in others):
        raise WrittenByAnother


def _destination_of(org: Org, version: PipelineVersion, table: str) -> DestinationSpec:
    """Return the destination and the table of the run. It contains plain secrets. Raises DestinationDeleted."""
    try:
        return specs.destination_of(org, version, table)
    except Connector.DoesNotExist:
        raise DestinationDeleted from None
