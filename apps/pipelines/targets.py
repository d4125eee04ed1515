"""Keep two streams, of one pipeline or of two, from writing the same table of a destination.

Each stream of a pipeline has the digest of its table (`PipelineStream.target`). The database allows one owner of a
table. Pipelines that shared a table before this rule existed do not own it, and keep writing to it until one of them
gets another table.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F, QuerySet

from apps.auth.constraints import violates
from apps.connectors import storage
from apps.connectors.models import Connector
from apps.connectors.schemas import Error
from apps.engine import targets
from apps.json import JsonObject
from apps.orgs.exceptions import Invalid
from apps.orgs.models import Org
from apps.orgs.placement import can_see
from apps.orgs.principals import Principal
from apps.pipelines.definition import (
    Definition,
    Document,
    SideDocument,
    StreamDocument,
    table_of,
)
from apps.pipelines.matching.choosing import INCLUDED, MatchedStream, documents_of
from apps.pipelines.models import Pipeline, PipelineStream, PipelineVersion

CONSTRAINT = "pipelines_stream_target"
MAX_SHOWN = 5
SHARED = "to the same table, so each can remove or mix up the rows of the other: give one of them another table."
NAME_IT = "Exclude the stream, add it to the list of streams with a table of its own, or change the naming rule."
SHARED_BY_ANOTHER = f"Another pipeline writes {SHARED}"  # names no pipeline


def shared_folder(org: Org, document: Document, *, own_database: bool = False) -> str:
    """Return the folder of the DuckDB file that all pipelines of the connector write, or an empty text."""
    destination = document["destination"]
    if destination["kind"] != "duckdb" or not destination["connector_id"] or own_database:
        return ""
    return storage.database_folder(org.pk, UUID(destination["connector_id"]))


def keeps_own_database(earlier: PipelineVersion, definition: Definition) -> bool:
    """Whether a new version writes to a DuckDB file of its own as `earlier` does, which an older release made."""
    old, new = earlier.definition, definition.document
    old_tables = {stream["table"] for stream in old["streams"]}
    return (
        earlier.own_database
        and old["destination"] == new["destination"]
        and not old_tables.isdisjoint(stream["table"] for stream in new["streams"])
    )


@dataclass(frozen=True, slots=True)
class Destination:
    """What identifies the tables of a definition's destination, except their names."""

    kind: str
    config: JsonObject
    shared_folder: str

    def target_of(self, table: str) -> str:
        return targets.target_of(self.kind, self.config, table, shared_folder=self.shared_folder)

    def place_of(self, table: str) -> str:
        """Return the digest of a table of the pipeline. In folders, names that differ by case are the same table."""
        name = table if self.target_of(table) else table.casefold()
        return targets.place_of(self.kind, self.config, name, shared_folder=self.shared_folder)


def destination_of(
    org: Org,
    document: Document,
    *,
    own_database: bool = False,
    connector: Connector | None = None,
) -> Destination:
    """Return the destination. `connector` has new settings that are not stored yet."""
    side = document["destination"]
    config = (connector.config or {}) if connector else _settings_of(org, side)
    folder = shared_folder(org, document, own_database=own_database)
    return Destination(side["kind"], config, folder)


def _settings_of(org: Org, side: SideDocument) -> JsonObject:
    """Return the settings of a source or destination, without secrets."""
    if side["connector_id"]:
        return Connector.objects.for_org(org).get(pk=side["connector_id"]).config or {}
    return side["config"] or {}


def claim(
    org: Org,
    by: Principal,
    pipeline: Pipeline,
    definition: Definition,
    *,
    matched: Sequence[MatchedStream] = (),
    own_database: bool = False,
) -> None:
    """Store the streams of a definition, and those that its patterns have chosen, with their targets.

    The pipeline is stored already. Raises Invalid if another stream writes one of the tables.
    """
    whole = definition.with_streams([*definition.streams, *documents_of(definition, matched)])
    destination = destination_of(org, definition.document, own_database=own_database)
    before = {row.target: row for row in _streams_of(org, pipeline)}
    rows = _new_rows(pipeline, definition, whole, destination, matched)
    _require_different_tables(whole, rows, destination)
    new_rows = [row for row in rows if row.target and row.target not in before]
    _require_not_read(org, whole, new_rows)
    _require_free(org, by, pipeline, whole, new_rows)
    for row in rows:
        row.owns_target = row.target not in before or before[row.target].owns_target
    try:
        with transaction.atomic():
            _streams_of(org, pipeline).delete()
            PipelineStream.objects.for_org(org).bulk_create(rows)
    except IntegrityError as error:
        # Another request has just saved a pipeline with one of the tables.
        if violates(error, CONSTRAINT):
            _require_free(org, by, pipeline, whole, rows)
        raise


def _new_rows(
    pipeline: Pipeline,
    definition: Definition,
    whole: Definition,
    destination: Destination,
    matched: Sequence[MatchedStream],
) -> list[PipelineStream]:
    """Return a row for each stream of the whole definition, in its order, and then for the streams that are not read."""
    by_name = {stream.name: stream for stream in matched}
    rows = []
    for position, stream in enumerate(whole.streams):
        chosen = by_name.get(stream["stream"]) if position >= len(definition.streams) else None
        row = PipelineStream(org_id=pipeline.org_id, pipeline=pipeline, position=position)
        row.name, row.target = stream["stream"], destination.target_of(stream["table"])
        if chosen is not None:
            row.position, row.table = len(definition.streams), stream["table"]
            row.offer, row.missing = chosen.offer, chosen.missing
        rows.append(row)
    return rows + [
        PipelineStream(
            org_id=pipeline.org_id,
            pipeline=pipeline,
            position=len(definition.streams),
            name=stream.name,
            state=stream.state,
            offer=stream.offer,
            missing=stream.missing,
        )
        for stream in matched
        if stream.state != INCLUDED
    ]


def _streams_of(org: Org, pipeline: Pipeline) -> QuerySet[PipelineStream]:
    rows: QuerySet[PipelineStream] = PipelineStream.objects.for_org(org).filter(pipeline=pipeline)
    return rows


def _require_different_tables(
    definition: Definition, rows: Sequence[PipelineStream], destination: Destination
) -> None:
    """Raise Invalid if two streams of the definition write the same table."""
    first_names: dict[str, str] = {}
    errors: list[Error] = []
    for row, stream in zip(rows, definition.streams, strict=False):
        place = destination.place_of(stream["table"])
        first_name = first_names.setdefault(place, stream["stream"])
        if first_name != stream["stream"]:
            message = f"The stream {first_name} writes this table: choose another table."
            if row.offer is not None:
                message = f"The streams {first_name} and {row.name} would both write the table {row.table}. {NAME_IT}"
            errors.append((_field(row, definition), message, "taken"))
    if errors:
        raise Invalid(errors)


def _field(row: PipelineStream, definition: Definition) -> str:
    if row.offer is None:
        return f"streams.{row.position}.table"
    return "naming" if "naming" in definition.document else "patterns.match"


def _require_not_read(org: Org, definition: Definition, rows: Sequence[PipelineStream]) -> None:
    """Raise Invalid if a pipeline from PostgreSQL would write a table that it reads."""
    read = {target for target in read_targets(org, definition) if target}
    message = (
        "This is a table that the pipeline reads, so a run would replace or change the rows of the source. Choose "
        "another table or schema."
    )
    if errors := [
        (_field(row, definition), message, "taken") for row in rows if row.target in read
    ]:
        raise Invalid(errors)


def read_targets(org: Org, definition: Definition) -> list[str]:
    """Return what the target of a pipeline would be that writes what each stream reads, or empty texts."""
    source = definition.document["source"]
    if source["kind"] != "postgres":
        return [""] * len(definition.streams)
    config = {**_settings_of(org, source), "schema": "public"}  # the schema of a stream without one
    return [
        targets.target_of("postgres", config, stream["stream"]) for stream in definition.streams
    ]


def _require_free(
    org: Org,
    by: Principal,
    pipeline: Pipeline,
    definition: Definition,
    rows: Sequence[PipelineStream],
) -> None:
    """Raise Invalid if another pipeline writes one of the tables of the rows."""
    others = other_writers_by_target(org, {row.target for row in rows}, pipeline.pk)
    errors: list[Error] = []
    for row in rows:
        if writers := others.get(row.target):
            message = _taken_message(org, by, definition, row, writers)
            errors.append((_field(row, definition), message, "taken"))
            if len(errors) == MAX_SHOWN:
                break
    if errors:
        raise Invalid(errors)


def _taken_message(
    org: Org, by: Principal, definition: Definition, row: PipelineStream, writers: list[Pipeline]
) -> str:
    if row.offer is not None:
        return f"{_names(by, writers)} to the table {row.table}, which the stream {row.name} would write. {NAME_IT}"
    unused = unused_table(org, definition, definition.streams[row.position])
    return (
        f"{_names(by, writers)} to this table of the same destination, so each could remove or mix up the rows "
        f"of the other. Choose another table, such as {unused}."
    )


def other_writers_by_target(
    org: Org | UUID, wanted: Collection[str], pipeline_id: UUID
) -> dict[str, list[Pipeline]]:
    """Return the other pipelines that write each of the tables, oldest first."""
    rows = PipelineStream.objects.for_org(org).filter(target__in=set(wanted) - {""})
    rows = rows.exclude(pipeline_id=pipeline_id).select_related("pipeline")
    writers: dict[str, list[Pipeline]] = {}
    for row in rows.order_by("pipeline__created_at", "pipeline_id"):
        writers.setdefault(row.target, []).append(row.pipeline)
    return writers


def require_still_own(
    org: Org, pipeline: Pipeline, version: PipelineVersion, streams: Sequence[StreamDocument]
) -> None:
    """Raise Invalid if an earlier version of the pipeline wrote a table that another pipeline has got since then."""
    if version.number == pipeline.version:
        return
    destination = destination_of(org, version.definition, own_database=version.own_database)
    own = set(_streams_of(org, pipeline).values_list("target", flat=True))
    earlier = {
        destination.target_of(stream["table"]): f"streams.{number}.table"
        for number, stream in enumerate(streams)
    }
    taken = other_writers_by_target(org, earlier.keys() - own, pipeline.pk)
    if taken:
        message = (
            "Another pipeline writes to the table of this earlier version now: start a new run."
        )
        raise Invalid(
            [(field, message, "taken") for target, field in earlier.items() if target in taken]
        )


def warnings(org: Org, by: Principal, pipeline: Pipeline) -> list[str]:
    """Return a sentence if the pipeline has shared a table since before a table had one writer."""
    others = other_writers(org, pipeline)
    return [f"{_names(by, others)} {SHARED}"] if others else []


def other_writers(org: Org | UUID, pipeline: Pipeline) -> list[Pipeline]:
    """Return the other pipelines that write a table of the pipeline, oldest first."""
    own = PipelineStream.objects.for_org(org).filter(pipeline=pipeline).exclude(target="")
    rows = PipelineStream.objects.for_org(org).filter(target__in=own.values("target"))
    ids = rows.exclude(pipeline=pipeline).values("pipeline_id")
    pipelines: QuerySet[Pipeline] = Pipeline.objects.for_org(org).filter(pk__in=ids)
    return list(pipelines.order_by("created_at", "id"))


def with_unused_tables(
    org: Org, definition: Definition, names: Collection[str] | None = None
) -> Definition:
    """Return the definition with an unused table for each stream whose table another pipeline already writes.

    With `names` only these streams change.
    """
    destination = destination_of(org, definition.document)
    by_stream = {
        stream["stream"]: destination.target_of(stream["table"]) for stream in definition.streams
    }
    taken = _taken_targets(org, by_stream.values())
    streams: list[StreamDocument] = []
    for stream in definition.streams:
        is_changeable = names is None or stream["stream"] in names
        if is_changeable and by_stream[stream["stream"]] in taken:
            stream = {**stream, "table": unused_table(org, definition, stream)}
        streams.append(stream)
    return definition.with_streams(streams)


def are_taken(org: Org, definition: Definition, tables: Iterable[str]) -> bool:
    """Whether a pipeline writes one of these tables of the definition's destination."""
    destination = destination_of(org, definition.document)
    return bool(_taken_targets(org, map(destination.target_of, tables)))


def _taken_targets(org: Org, wanted: Iterable[str]) -> set[str]:
    rows = PipelineStream.objects.for_org(org).filter(target__in=set(wanted) - {""})
    return set(rows.values_list("target", flat=True))


def unused_table(org: Org, definition: Definition, stream: StreamDocument) -> str:
    """Return the stream's default table, or the first unused table of `x_2`, `x_3` and so on."""
    destination = destination_of(org, definition.document)
    others = {each["table"] for each in definition.streams if each["stream"] != stream["stream"]}
    kind, naming = definition.document["source"]["kind"], definition.document.get("naming")
    default = table_of(kind, stream["stream"], naming)
    schema, dot, name = stream["table"].rpartition(".")
    start = name.encode()[:58].decode(errors="ignore")
    numbered = (f"{schema}{dot}{start}_{number}" for number in range(2, 1000))
    for table in chain([default], numbered):
        if table not in others and not _taken_targets(org, [destination.target_of(table)]):
            return table
    raise LookupError("a thousand pipelines write to tables with this name")


def change_of_connector(org: Org, by: Principal, connector: Connector) -> list[Error]:
    """Update the targets of the streams that are written with this connector, after its settings have changed.

    Returns an error if one of them would then write a table of a pipeline with which it shared none before.
    """
    moved = [row for row in _rows_with_targets(org, connector) if row[0].target != row[1]]
    by_target = defaultdict[str, list[PipelineStream]](list)
    for row, target in moved:
        by_target[target].append(row)
    others = _writers_outside(org, {target for _, target in moved}, {row.pk for row, _ in moved})
    for row, target in moved:
        companions = [each for each in by_target[target] if each is not row]
        strangers = [each.pipeline for each in companions if each.target != row.target]
        if strangers or target in others:
            return [_connector_error(by, row.pipeline, [*strangers, *others.get(target, ())])]
        row.owns_target = row.owns_target or not companions
    for row, target in moved:
        row.target = target
    return _save_targets(org, by, [row for row, _ in moved])


def _writers_outside(
    org: Org, wanted: Collection[str], moved: Collection[UUID]
) -> dict[str, list[Pipeline]]:
    """Return the pipelines that write each of the tables, without the streams that are being moved."""
    rows = PipelineStream.objects.for_org(org).filter(target__in=set(wanted) - {""})
    writers: dict[str, list[Pipeline]] = {}
    for row in rows.exclude(pk__in=moved).select_related("pipeline"):
        writers.setdefault(row.target, []).append(row.pipeline)
    return writers


def _save_targets(org: Org, by: Principal, rows: Sequence[PipelineStream]) -> list[Error]:
    try:
        with transaction.atomic():
            PipelineStream.objects.for_org(org).bulk_update(rows, ["target", "owns_target"])
    except IntegrityError as error:
        if not violates(error, CONSTRAINT):
            raise
        # Another request has just saved a pipeline with one of the tables.
        others = _writers_outside(org, {row.target for row in rows}, {row.pk for row in rows})
        row = next(row for row in rows if row.target in others)
        return [_connector_error(by, row.pipeline, others[row.target])]
    return []


def _rows_with_targets(org: Org, connector: Connector) -> Iterator[tuple[PipelineStream, str]]:
    """Yield the streams that are written with the connector, and their targets with its new settings."""
    pipelines = Pipeline.objects.for_org(org).filter(destination_connector=connector)
    locked = {row.pk: row for row in pipelines.order_by("pk").select_for_update(no_key=True)}
    versions = PipelineVersion.objects.for_org(org).filter(
        pipeline__in=locked, number=F("pipeline__version")
    )
    documents = {version.pipeline_id: version for version in versions}
    rows = PipelineStream.objects.for_org(org).filter(pipeline__in=locked)
    for row in rows.order_by("pipeline_id", "position"):
        version = documents[row.pipeline_id]
        row.pipeline = locked[row.pipeline_id]
        destination = destination_of(
            org, version.definition, own_database=version.own_database, connector=connector
        )
        streams = version.definition["streams"]
        if row.offer is None:
            yield row, destination.target_of(streams[row.position]["table"])
        else:  # A row without a target does not claim its table.
            yield row, destination.target_of(row.table) if row.target else ""


def _connector_error(by: Principal, pipeline: Pipeline, others: Iterable[Pipeline]) -> Error:
    name = f"the pipeline “{pipeline.name}”" if can_see(by, pipeline.domain_id) else "a pipeline"
    message = (
        f"With these settings {name} would write to a table of another pipeline. {_names(by, others)} to that table: "
        "first give one of them another table."
    )
    return ("config", message, "taken")


def _names(by: Principal, others: Iterable[Pipeline]) -> str:
    """Return the subject and verb of a sentence, with the names of the pipelines that the principal can see."""
    names = [f"“{other.name}”" for other in others if can_see(by, other.domain_id)]
    if not names:
        return "Another pipeline writes"
    shown = ", ".join(names[:MAX_SHOWN])
    return f"The pipeline {shown} writes" if len(names) == 1 else f"The pipelines {shown} write"
