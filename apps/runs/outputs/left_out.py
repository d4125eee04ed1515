"""Read the rejected and skipped records of a run, for principals who can see the run.

The engine keeps them in files whose names have the number of their records, see
`apps.engine.sync.left_out_files`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import orjson
from django.utils import timezone

from apps.engine.frames.left_out import FILE_NAME, Kind, without_value
from apps.engine.stream_keys import stream_digest
from apps.json import JsonObject
from apps.orgs import audit
from apps.orgs.models import AuditEvent, Org
from apps.orgs.principals import Principal
from apps.orgs.roles import Permission
from apps.orgs.slow_calls import SlowCall
from apps.runs import visibility
from apps.runs.keeping import retention
from apps.runs.models import Run, RunStream
from apps.runs.outputs import storage

PAGE_SIZE = 100  # records
LOOK_TIME = timedelta(hours=1)
VALUES_HIDDEN = "The records are shown to members who may look at data."


@dataclass(frozen=True, slots=True)
class LeftOutPage:
    """A page of records. `count` is the number of all records of the kind, and `kept` of those that are stored."""

    records: list[dict[str, Any]]
    count: int
    kept: int
    next_offset: int | None
    note: str


def read(
    *, org: Org, by: Principal, run_id: UUID, kind: Kind, offset: int
) -> SlowCall[LeftOutPage]:
    """Return the call that reads records from `offset` on. Raises NotFound.

    Their values are shown to those who may look at data.
    """
    run, shows_values = _find_run(org, by, run_id)
    streams = _stream_folders(org, run)
    return SlowCall(
        lambda: _load(org, run, streams, kind, offset, shows_values=shows_values),
        lambda principal: _require_same_rights(org, principal, run_id, shows_values),
        lambda page: _record_look(org, by, run, kind) if shows_values and page.records else None,
    )


def _record_look(org: Org, by: Principal, run: Run, kind: Kind) -> None:
    """Record that the principal has looked at values. Further pages within LOOK_TIME belong to the same look."""
    changes: JsonObject = {"run": [None, str(run.pk)], "records": [None, kind]}
    looks = AuditEvent.objects.for_org(org).filter(
        at__gte=timezone.now() - LOOK_TIME,
        actor_id=by.actor.id,
        action="data.viewed",
        object_id=run.pipeline_id,
        changes=changes,
    )
    if looks.exists():
        return
    audit.record(
        org=org,
        by=by,
        action="data.viewed",
        object_kind="pipeline",
        object_id=run.pipeline_id,
        object_label=run.pipeline.name,
        changes=changes,
    )


def _stream_folders(org: Org, run: Run) -> list[str]:
    """Return the names of the folders of the run's streams, in order."""
    rows = RunStream.objects.for_org(org).filter(run=run).order_by("position")
    return [stream_digest(name) for name in rows.values_list("name", flat=True)]


def _load(
    org: Org, run: Run, streams: list[str], kind: Kind, offset: int, *, shows_values: bool
) -> LeftOutPage:
    files = list(_files(org.pk, run.pk, streams, kind))
    try:
        records = list(_read_files(files, offset))
    except FileNotFoundError:
        # A new attempt, or the removal of the log, has removed them meanwhile.
        files, records = [], []
    if not shows_values:
        records = [
            {**record, "record": None, "reason": without_value(record["reason"])}
            for record in records
        ]
    count = run.records_rejected if kind == "rejected" else run.records_skipped
    kept, end = sum(size for _, size in files), offset + len(records)
    notes = [_kept_note(org, run, kind, count, kept), "" if shows_values else VALUES_HIDDEN]
    return LeftOutPage(
        records=records,
        count=count,
        kept=kept,
        next_offset=end if records and end < kept else None,
        note=" ".join(filter(None, notes)) if count else "",
    )


def _find_run(org: Org, by: Principal, run_id: UUID) -> tuple[Run, bool]:
    """Return the run, and whether the principal may see values of its records. Raises NotFound."""
    run = visibility.find_run(org=org, by=by, run_id=run_id)
    return run, by.may(Permission.DATA_VIEW, domain_id=run.pipeline.domain_id)


def _require_same_rights(org: Org, by: Principal, run_id: UUID, shows_values: bool) -> None:
    """Raise NotFound or PermissionMissing if the principal may not see the result any more."""
    run, _ = _find_run(org, by, run_id)
    if shows_values:
        by.require(Permission.DATA_VIEW, domain_id=run.pipeline.domain_id)


def _files(org_id: UUID, run_id: UUID, streams: list[str], kind: Kind) -> Iterator[tuple[str, int]]:
    """Yield the key and the number of records of each file, in the order of the streams and their records."""
    for folder in _job_folders(org_id, run_id, streams):
        for name in storage.list_folder(f"{folder}/{kind}")[1]:
            if match := FILE_NAME.fullmatch(name):
                yield f"{folder}/{kind}/{name}", int(match["records"])


def _job_folders(org_id: UUID, run_id: UUID, streams: list[str]) -> Iterator[str]:
    """Yield the folders of the streams' jobs. Older releases had no folders of streams."""
    root = storage.left_out_folder(org_id, run_id)
    for stream in streams:
        for job in storage.list_folder(f"{root}/{stream}")[0]:
            yield f"{root}/{stream}/{job}"
    for job in storage.list_folder(root)[0]:
        if job not in streams:
            yield f"{root}/{job}"


def _read_files(files: list[tuple[str, int]], offset: int) -> Iterator[dict[str, Any]]:
    """Yield PAGE_SIZE records from the number `offset` on. Reads only the files that contain them."""
    first = 0
    for key, size in files:
        numbers = range(max(offset, first), min(offset + PAGE_SIZE, first + size))
        if numbers:
            lines = storage.read(key).splitlines()
            yield from ({"number": n, **_shown(lines[n - first])} for n in numbers)
        first += size


def _shown(line: bytes) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(line)
    record.pop("kept", None)
    return record


def count_sendable(org_id: UUID, run_id: UUID, stream: str) -> int:
    """Return how many rejected records of the stream can be sent again."""
    root = f"{storage.left_out_folder(org_id, run_id)}/{stream_digest(stream)}"
    names = (
        name
        for job in storage.list_folder(root)[0]
        for name in storage.list_folder(f"{root}/{job}/rejected")[1]
    )
    matches = filter(None, map(FILE_NAME.fullmatch, names))
    return sum(int(match["sendable"] or 0) for match in matches)


def _kept_note(org: Org, run: Run, kind: Kind, count: int, kept: int) -> str:
    if kept >= count:
        return ""
    if not kept and run.log_removed:
        return f"The {kind} records were removed together with the log. {retention.removal_note(org, run)}"
    return f"The first {kept:,} of {count:,} {kind} records are kept."
