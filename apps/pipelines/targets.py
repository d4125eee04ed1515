"""Keep two pipelines from writing the same table of a destination.

Each pipeline has the digest of its table (`Pipeline.target`). The database allows one owner of a table. Pipelines that
shared a table before this rule existed do not own it, and keep writing to it until one of them gets another table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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
    default_table,
)
from apps.pipelines.models import Pipeline, PipelineVersion

CONSTRAINT = "pipelines_pipeline_target"
FIELD = "streams.0.table"
MAX_SHOWN = 5
SHARED = "to the same table, so each can remove or mix up the rows of the other: give one of them another table."
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
    return (
        earlier.own_database
        and old["destination"] == new["destination"]
        and old["streams"][0]["table"] == definition.stream["table"]
    )


def target_of(
    org: Org, document: Document, *, table: str | None = None, own_database: bool = False
) -> str:
    """Return the digest of the table that a definition writes, or of another table of its destination."""
    config = _settings_of(org, document["destination"])
    return _target_with(config, org, document, table=table, own_database=own_database)


def _settings_of(org: Org, side: SideDocument) -> JsonObject:
    """Return the settings of a source or destination, without secrets."""
    if side["connector_id"]:
        return Connector.objects.for_org(org).get(pk=side["connector_id"]).config or {}
    return side["config"] or {}


def _target_with(
    config: JsonObject,
    org: Org,
    document: Document,
    *,
    table: str | None = None,
    own_database: bool,
) -> str:
    return targets.target_of(
        document["destination"]["kind"],
        config,
        table or document["streams"][0]["table"],
        shared_folder=shared_folder(org, document, own_database=own_database),
    )


def claim(
    org: Org,
    by: Principal,
    pipeline: Pipeline,
    definition: Definition,
    *,
    own_database: bool = False,
) -> None:
    """Set the pipeline's target, without saving it. Raises Invalid if another pipeline writes the table."""
    target = target_of(org, definition.document, own_database=own_database)
    if target == pipeline.target:
        return
    _require_not_read(org, definition, target)
    pipeline.target, pipeline.owns_target = target, True
    require_free(org, by, pipeline, definition)


def _require_not_read(org: Org, definition: Definition, target: str) -> None:
    """Raise Invalid if a pipeline from PostgreSQL would write the table that it reads."""
    source = definition.document["source"]
    if source["kind"] != "postgres":
        return
    config = {**_settings_of(org, source), "schema": "public"}  # the schema of a stream without one
    if target == targets.target_of("postgres", config, definition.stream["stream"]):
        message = (
            "This is the table that the pipeline reads, so a run would replace or change the rows of the source. Choose "
            "another table or schema."
        )
        raise Invalid([(FIELD, message, "taken")])


def require_free(org: Org, by: Principal, pipeline: Pipeline, definition: Definition) -> None:
    """Raise Invalid if another pipeline writes the pipeline's table."""
    others = list(other_writers(org, pipeline.target, pipeline.pk))
    if not others:
        return
    message = (
        f"{_names(by, others)} to this table of the same destination, so each could remove or mix up the rows of the "
        f"other. Choose another table, such as {unused_table(org, definition)}."
    )
    raise Invalid([(FIELD, message, "taken")])


def require_still_own(org: Org, pipeline: Pipeline, version: PipelineVersion) -> None:
    """Raise Invalid if an earlier version of the pipeline wrote a table that another pipeline has got since then."""
    if version.number == pipeline.version:
        return
    target = target_of(org, version.definition, own_database=version.own_database)
    if target != pipeline.target and other_writers(org, target, pipeline.pk).exists():
        message = (
            "Another pipeline writes to the table of this earlier version now: start a new run."
        )
        raise Invalid([(FIELD, message, "taken")])


def warnings(org: Org, by: Principal, pipeline: Pipeline) -> list[str]:
    """Return a sentence if the pipeline has shared its table since before a table had one writer."""
    others = list(other_writers(org, pipeline.target, pipeline.pk))
    return [f"{_names(by, others)} {SHARED}"] if others else []


def other_writers(org: Org | UUID, target: str, pipeline_id: UUID) -> QuerySet[Pipeline]:
    """Return the other pipelines that write the table, oldest first. There is none for an empty target."""
    rows: QuerySet[Pipeline] = Pipeline.objects.for_org(org)
    rows = rows.filter(target=target).exclude(pk=pipeline_id) if target else rows.none()
    return rows.order_by("created_at", "id")


def with_unused_table(org: Org, definition: Definition) -> Definition:
    """Return the definition with an unused table, if another pipeline already writes its table."""
    target = target_of(org, definition.document)
    if not target or not Pipeline.objects.for_org(org).filter(target=target).exists():
        return definition
    stream: StreamDocument = {**definition.stream, "table": unused_table(org, definition)}
    return Definition({**definition.document, "streams": [stream]}, definition.secrets)


def unused_table(org: Org, definition: Definition) -> str:
    """Return the stream's default table, or the first unused table of `x_2`, `x_3` and so on."""
    stream = definition.stream
    schema, dot, name = stream["table"].rpartition(".")
    start = name.encode()[:58].decode(errors="ignore")
    numbered = (f"{schema}{dot}{start}_{number}" for number in range(2, 1000))
    for table in chain([default_table(stream["stream"])], numbered):
        target = target_of(org, definition.document, table=table)
        if not Pipeline.objects.for_org(org).filter(target=target).exists():
            return table
    raise LookupError("a thousand pipelines write to tables with this name")


def change_of_connector(org: Org, by: Principal, connector: Connector) -> list[Error]:
    """Update the targets of the pipelines that write with this connector, after its settings have changed.

    Returns an error if one of them would then write the table of a pipeline with which it shared none before.
    """
    moved = [row for row in _pipelines_with_targets(org, connector) if row[0].target != row[1]]
    for pipeline, target in moved:
        companions = [row for row, new_target in moved if new_target == target and row != pipeline]
        others = set(other_writers(org, target, pipeline.pk)) - set(companions)
        others |= {row for row in companions if row.target != pipeline.target}
        if others:
            return [_connector_error(by, pipeline, others)]
        pipeline.owns_target = pipeline.owns_target or not companions
    for pipeline, target in moved:
        pipeline.target = target
        if not _save_target(pipeline):  # Another request has just saved a pipeline with this table.
            return [_connector_error(by, pipeline, other_writers(org, target, pipeline.pk))]
    return []


def _save_target(pipeline: Pipeline) -> bool:
    try:
        with transaction.atomic():
            pipeline.save(update_fields=["target", "owns_target"])
    except IntegrityError as error:
        if not violates(error, CONSTRAINT):
            raise
        return False
    return True


def _pipelines_with_targets(org: Org, connector: Connector) -> Iterator[tuple[Pipeline, str]]:
    rows = Pipeline.objects.for_org(org).filter(destination_connector=connector)
    pipelines = {row.pk: row for row in rows.order_by("pk").select_for_update(no_key=True)}
    versions = PipelineVersion.objects.for_org(org).filter(
        pipeline__in=pipelines, number=F("pipeline__version")
    )
    for version in versions.order_by("pipeline_id"):
        target = _target_with(
            connector.config, org, version.definition, own_database=version.own_database
        )
        yield pipelines[version.pipeline_id], target


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
