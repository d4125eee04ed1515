"""Compare what a run has found in its source with what the run before has found, and record the differences."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from uuid import UUID

from apps.engine.source_columns import MAX_COLUMNS, SourceColumns
from apps.pipelines.models import ChangeKind, Pipeline, PipelineVersion, SourceChange, SourceStream

MAX_CHANGES = 100  # of one stream and run; more are not listed
MAX_OPEN = 1_000  # changes of a stream that nobody has decided about; later ones are not listed
MAX_TEXT = 500  # characters of a type or key
MAX_STREAM_LENGTH = 200


def record(
    *, org_id: UUID, pipeline_id: UUID, run_id: UUID, found: Mapping[str, SourceColumns]
) -> list[SourceChange]:
    """Store what a run has found of its streams. Returns the changes since the run before.

    Call it in the transaction of the run's lease. To record the same a second time changes nothing.
    """
    rows = SourceStream.objects.for_org(org_id).filter(pipeline_id=pipeline_id)
    earlier = {row.stream: row for row in rows.filter(stream__in=found)}
    changes: list[SourceChange] = []
    for stream, now in found.items():
        row = earlier.get(stream) or SourceStream(
            org_id=org_id, pipeline_id=pipeline_id, stream=stream, columns={}
        )
        known = _known_columns(org_id, pipeline_id, stream, now.left_out)
        new_changes = list(_compare(row, now, known, is_first=stream not in earlier))
        if now.is_missing and not _is_named(org_id, pipeline_id, stream):
            new_changes = []
        if row.missing and not now.is_missing:
            _remove_missing(org_id, pipeline_id, stream)
        changes += new_changes[:MAX_CHANGES]
        _save(row, now, run_id, is_first=stream not in earlier)
    for change in changes:
        change.org_id, change.pipeline_id, change.run_id = org_id, pipeline_id, run_id
    return _replace_open(org_id, pipeline_id, changes)


def _compare(
    row: SourceStream, now: SourceColumns, known: Collection[str], *, is_first: bool
) -> Iterator[SourceChange]:
    """Yield the changes since the row was stored. Nothing is known before the first run."""
    if now.is_missing:
        if not is_first and not row.missing:
            yield SourceChange(stream=row.stream, kind=ChangeKind.STREAM_MISSING)
        return
    before = row.columns
    added = set(now.left_out) - set(known)
    if not is_first and before:
        yield from _compare_columns(row, now)
        yield from _compare_keys(row, now)
        added -= now.columns.keys() - before.keys()
    for name in sorted(added):
        type_ = now.columns.get(name, "")
        yield SourceChange(
            stream=row.stream, kind=ChangeKind.COLUMN_ADDED, column=name, after=type_[:MAX_TEXT]
        )


def _compare_columns(row: SourceStream, now: SourceColumns) -> Iterator[SourceChange]:
    before, after = row.columns, now.columns
    for name, type_ in after.items():
        kind = ChangeKind.TYPE_CHANGED if name in before else ChangeKind.COLUMN_ADDED
        earlier_type = before.get(name, "")
        is_retyped = bool(type_ and earlier_type and type_ != earlier_type)
        if kind is ChangeKind.COLUMN_ADDED or is_retyped:
            yield SourceChange(
                stream=row.stream,
                kind=kind,
                column=name,
                before=earlier_type[:MAX_TEXT],
                after=type_[:MAX_TEXT],
            )
    if not now.is_complete:
        return
    for name in sorted(before.keys() - after.keys()):
        yield SourceChange(
            stream=row.stream,
            kind=ChangeKind.COLUMN_REMOVED,
            column=name,
            before=before[name][:MAX_TEXT],
        )


def _compare_keys(row: SourceStream, now: SourceColumns) -> Iterator[SourceChange]:
    if row.key is None or now.key is None or list(now.key) == row.key:
        return
    before, after = (", ".join(key)[:MAX_TEXT] for key in (row.key, now.key))
    yield SourceChange(stream=row.stream, kind=ChangeKind.KEY_CHANGED, before=before, after=after)


def _save(row: SourceStream, now: SourceColumns, run_id: UUID, *, is_first: bool) -> None:
    """Store what was found. A stream that was never read is not stored as missing."""
    if now.is_missing and is_first:
        return
    row.missing, row.run_id = now.is_missing, run_id
    if not now.is_missing:
        columns = dict(now.columns) if now.is_complete else {**row.columns, **now.columns}
        row.columns = dict(list(columns.items())[:MAX_COLUMNS])
        row.key = None if now.key is None else list(now.key)
    row.save(force_insert=is_first)


def _known_columns(
    org_id: UUID, pipeline_id: UUID, stream: str, names: Collection[str]
) -> set[str]:
    """Return the columns whose arrival at the source is listed already."""
    if not names:
        return set()
    rows = SourceChange.objects.for_org(org_id).filter(
        pipeline_id=pipeline_id, stream=stream, kind=ChangeKind.COLUMN_ADDED, column__in=names
    )
    return set(rows.values_list("column", flat=True))


def _is_named(org_id: UUID, pipeline_id: UUID, stream: str) -> bool:
    """Whether the definition names the stream, so that nothing but this list tells that it is missing."""
    pipeline = Pipeline.objects.for_org(org_id).get(pk=pipeline_id)
    version = PipelineVersion.objects.for_org(org_id).get(
        pipeline_id=pipeline_id, number=pipeline.version
    )
    return any(each["stream"] == stream for each in version.definition["streams"])


def _remove_missing(org_id: UUID, pipeline_id: UUID, stream: str) -> None:
    """Remove the change that a stream is missing, if nobody has decided about it: the stream is back."""
    SourceChange.objects.for_org(org_id).filter(
        pipeline_id=pipeline_id, stream=stream, kind=ChangeKind.STREAM_MISSING, decision=""
    ).delete()


def _replace_open(
    org_id: UUID, pipeline_id: UUID, changes: list[SourceChange]
) -> list[SourceChange]:
    """Add the changes, and return them. One that nobody has decided about is replaced by a new change of the same kind.

    A source that changes at each run adds no more than MAX_OPEN of each stream.
    """
    undecided = SourceChange.objects.for_org(org_id).filter(pipeline_id=pipeline_id, decision="")
    added: list[SourceChange] = []
    for stream in dict.fromkeys(change.stream for change in changes):
        new = {
            (change.kind, change.column): change for change in changes if change.stream == stream
        }
        rows = list(undecided.filter(stream=stream).values_list("pk", "kind", "column"))
        same = [pk for pk, kind, column in rows if (kind, column) in new]
        undecided.filter(pk__in=same).delete()
        added += list(new.values())[: max(0, MAX_OPEN - len(rows) + len(same))]
    return SourceChange.objects.for_org(org_id).bulk_create(added)
