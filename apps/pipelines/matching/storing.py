"""Store which streams the patterns of a pipeline have chosen, at each run and when its definition changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from django.db import IntegrityError, transaction

from apps.auth.constraints import violates
from apps.connectors.checks import discoveries
from apps.connectors.models import Connector
from apps.engine.answers import Stream
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.pipelines import targets
from apps.pipelines.definition import Definition, Document, StreamDocument
from apps.pipelines.definition.streams import MAX_STREAM_LENGTH, MAX_STREAMS
from apps.pipelines.history import versions
from apps.pipelines.matching.choosing import (
    INCLUDED,
    WAITING,
    MatchedStream,
    choose,
    documents_of,
    known_streams,
    matched_rows,
    names_of,
)
from apps.pipelines.models import Pipeline, PipelineStream

GONE = (
    "The source does not list the stream {name} any more. If it is gone for good, ignore it under Streams on the "
    "pipeline's page; else restore it, or let the connector's user read it again."
)
STORED = ("position", "state", "offer", "table", "missing", "target", "owns_target")


@dataclass(frozen=True, slots=True)
class Resolved:
    """The streams that the patterns have chosen for a run. `problems` are the reasons why some cannot be read, by name."""

    streams: list[StreamDocument]
    problems: dict[str, str]
    added: list[str]
    waiting: list[str]  # of the new ones


def choose_known(
    org: Org, pipeline: Pipeline, definition: Definition, known_of: Pipeline | None = None
) -> list[MatchedStream]:
    """Return the streams that the patterns of a new definition choose, as far as they are known without asking the source.

    `known_of` is another pipeline whose streams are known. Sets the pipeline's columns, and saves nothing. Raises Invalid
    if there are too many.
    """
    listed = _stored_list(org, definition)
    is_first = _is_first(pipeline, definition)
    known = known_streams(matched_rows(org, known_of or pipeline))
    matched = _without_own_outputs(
        org, definition, choose(definition, known, listed, is_first=is_first)
    )
    _require_within_limits(definition, matched)
    if definition.patterns is None:
        pipeline.matched_patterns = None
    elif listed is not None:
        pipeline.matched_patterns = definition.patterns["match"]
    pipeline.stream_count = len(definition.streams) + len(names_of(matched, INCLUDED))
    return matched


def with_unused_naming(
    org: Org, definition: Definition, known: Sequence[MatchedStream]
) -> Definition:
    """Return a new definition whose naming rule gives an unused table to each stream that its patterns choose."""
    naming = definition.document.get("naming") or "{schema}_{table}"
    schema, dot, name = naming.rpartition(".")
    for number in range(1, 1000):
        tables = [stream["table"] for stream in documents_of(definition, known)]
        if not targets.are_taken(org, definition, tables):
            return definition
        prefix = "copy_" if number == 1 else f"copy_{number}_"
        document: Document = {**definition.document, "naming": f"{schema}{dot}{prefix}{name}"}
        definition = Definition(document, definition.secrets)
    raise LookupError("a thousand pipelines write to tables with these names")


def _stored_list(org: Org, definition: Definition) -> list[Stream] | None:
    """Return the stored list of the streams of a saved connector, or None."""
    pk = definition.document["source"]["connector_id"]
    if definition.patterns is None or pk is None:
        return None
    found = discoveries.read(org, Connector.objects.for_org(org).get(pk=pk))
    return found["streams"] if found else None


def _is_first(pipeline: Pipeline, definition: Definition) -> bool:
    patterns = definition.patterns
    return patterns is not None and pipeline.matched_patterns != patterns["match"]


def _require_within_limits(definition: Definition, matched: Sequence[MatchedStream]) -> None:
    """Raise Invalid if there are too many streams, or one with a name that cannot be stored."""
    count = len(definition.streams) + len(names_of(matched, INCLUDED))
    if count > MAX_STREAMS:
        message = f"The patterns choose {count:,} streams; a pipeline has at most {MAX_STREAMS:,}."
        raise Invalid([("patterns.match", message, "max_length")])
    for stream in matched:
        if len(stream.name) > MAX_STREAM_LENGTH:
            message = (
                f"The patterns choose a stream whose name has more than {MAX_STREAM_LENGTH} characters: exclude"
                f" {stream.name[:MAX_STREAM_LENGTH]}…"
            )
            raise Invalid([("patterns.match", message, "max_length")])


def _without_own_outputs(
    org: Org, definition: Definition, matched: list[MatchedStream]
) -> list[MatchedStream]:
    """Leave out the tables that the pipeline itself writes, which `*` would choose if source and destination are one database."""
    if not matched:
        return matched
    destination = targets.destination_of(org, definition.document)
    written_streams = [*definition.streams, *documents_of(definition, matched)]
    written = {destination.target_of(stream["table"]) for stream in written_streams} - {""}
    all_streams = documents_of(definition, [replace(each, state=INCLUDED) for each in matched])
    read = targets.read_targets(org, definition.with_streams(all_streams))
    return [stream for stream, target in zip(matched, read, strict=True) if target not in written]


def resolve(*, org: Org, pipeline_id: UUID, version: int, listed: Sequence[Stream]) -> Resolved:
    """Choose the streams of a run from those that the source lists now, and store what was chosen.

    A run of an earlier version stores nothing. Call this in a transaction. Raises Invalid if there are too many streams, or
    none.
    """
    rows = Pipeline.objects.for_org(org).select_for_update(no_key=True)
    pipeline = rows.get(pk=pipeline_id)
    row = versions.get_version(org, pipeline, version)
    definition = Definition(row.definition)
    before = {row.name: row for row in matched_rows(org, pipeline)}
    matched = _without_own_outputs(
        org,
        definition,
        choose(
            definition,
            known_streams(before.values()),
            listed,
            is_first=_is_first(pipeline, definition),
        ),
    )
    _require_within_limits(definition, matched)
    _require_some(definition, matched)
    claims = _store(
        org, pipeline, definition, matched, before, is_current=version == pipeline.version
    )
    gone = {
        stream.name: GONE.format(name=stream.name)
        for stream in matched
        if stream.missing and stream.state == INCLUDED
    }
    new = [stream for stream in matched if stream.is_new]
    return Resolved(
        documents_of(definition, matched),
        {**claims.problems, **gone},
        list(names_of(new, INCLUDED)),
        list(names_of(new, WAITING)),
    )


def _require_some(definition: Definition, matched: Sequence[MatchedStream]) -> None:
    if not definition.streams and not names_of(matched, INCLUDED):
        message = "The source has no stream that the patterns choose."
        raise Invalid([("patterns.match", message, "unknown")])


@dataclass(frozen=True, slots=True)
class Claims:
    """The targets of the included streams, and why some of them have none, by name."""

    targets: dict[str, str]
    problems: dict[str, str]


def _store(
    org: Org,
    pipeline: Pipeline,
    definition: Definition,
    matched: Sequence[MatchedStream],
    before: Mapping[str, PipelineStream],
    *,
    is_current: bool,
) -> Claims:
    documents = documents_of(definition, matched)
    claims = claim_tables(org, pipeline, definition, documents)
    if not is_current:
        return claims
    try:
        with transaction.atomic():
            _save_rows(org, pipeline, definition, matched, before, claims)
    except IntegrityError as error:
        if not violates(error, targets.CONSTRAINT):
            raise
        # A request has just saved a pipeline with one of the tables.
        claims = claim_tables(org, pipeline, definition, documents)
        _save_rows(org, pipeline, definition, matched, before, claims)
    Pipeline.objects.for_org(org).filter(pk=pipeline.pk).update(
        matched_patterns=definition.patterns["match"] if definition.patterns else None,
        stream_count=len(definition.streams) + len(names_of(matched, INCLUDED)),
    )
    return claims


def claim_tables(
    org: Org, pipeline: Pipeline, definition: Definition, documents: Sequence[StreamDocument]
) -> Claims:
    """Find out which tables the matched streams may write. A stream that has its table already keeps it."""
    own_database = versions.get_version(org, pipeline, pipeline.version).own_database
    destination = targets.destination_of(org, definition.document, own_database=own_database)
    wanted = {
        document["stream"]: (document["table"], destination.target_of(document["table"]))
        for document in documents
    }
    before = {row.name: row.target for row in matched_rows(org, pipeline)}
    owned = {name for name, (_, target) in wanted.items() if before.get(name) == target}
    others = targets.other_writers_by_target(
        org, {target for _, target in wanted.values()}, pipeline.pk
    )
    writers = {
        destination.place_of(stream["table"]): stream["stream"] for stream in definition.streams
    }
    claims = Claims({}, {})
    for name in sorted(wanted, key=lambda name: name not in owned):
        table, target = wanted[name]
        first = writers.setdefault(destination.place_of(table), name)
        if first != name:
            claims.problems[name] = (
                f"The streams {first} and {name} would both write the table {table}. {targets.NAME_IT}"
            )
        elif target in others and name not in owned:
            claims.problems[name] = (
                f"Another pipeline writes the table {table} of the same destination. {targets.NAME_IT}"
            )
        else:
            claims.targets[name] = target
    return claims


def _save_rows(
    org: Org,
    pipeline: Pipeline,
    definition: Definition,
    matched: Sequence[MatchedStream],
    before: Mapping[str, PipelineStream],
    claims: Claims,
) -> None:
    """Create, change and delete the rows that differ from what is stored."""
    rows = PipelineStream.objects.for_org(org)
    tables = {each["stream"]: each["table"] for each in documents_of(definition, matched)}
    created, changed = [], []
    for stream in matched:
        stored = before.get(stream.name)
        row = stored or PipelineStream(org=org, pipeline=pipeline, name=stream.name)
        values_before = [getattr(row, column) for column in STORED]
        row.position, row.state = len(definition.streams), stream.state
        row.offer, row.missing = stream.offer, stream.missing
        row.table, target = tables.get(stream.name, ""), claims.targets.get(stream.name, "")
        row.owns_target = row.owns_target if row.target == target else True
        row.target = target
        if stored is None:
            created.append(row)
        elif values_before != [getattr(row, column) for column in STORED]:
            changed.append(row)
    names = {stream.name for stream in matched}
    rows.filter(pk__in=[row.pk for name, row in before.items() if name not in names]).delete()
    rows.bulk_update(changed, STORED, batch_size=500)
    rows.bulk_create(created, batch_size=500)
