"""Read the objects of an org from the database, and compare them with what a case expects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from apps.agent.tools.mode_words import describe_rule
from apps.connectors.models import Connector, CustomSource
from apps.pipelines.history import versions
from apps.pipelines.models import Pipeline
from apps.pipelines.schedules.services import schedule_of
from apps.runs.models import Run
from evaluations.case import Case, NewPipeline
from tests.world import World

Fields = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects of an org at one moment, by name."""

    pipelines: Mapping[str, Fields]
    connectors: frozenset[str]
    custom_sources: frozenset[str]
    runs: Mapping[str, tuple[str, ...]]  # {pipeline: states of its runs, the newest first}


def read_objects(world: World) -> Objects:
    """Return what the org has now."""
    org = world.org
    with world.scope():
        pipelines = list(
            Pipeline.objects.for_org(org).select_related(
                "source_connector", "destination_connector"
            )
        )
        runs = list(Run.objects.for_org(org).order_by("-created_at", "-pk"))
        return Objects(
            {row.name: _fields(world, row) for row in pipelines},
            frozenset(Connector.objects.for_org(org).values_list("name", flat=True)),
            frozenset(CustomSource.objects.for_org(org).values_list("name", flat=True)),
            {
                row.name: tuple(run.status for run in runs if run.pipeline_id == row.pk)
                for row in pipelines
            },
        )


def _fields(world: World, row: Pipeline) -> Fields:
    definition = versions.current_definition(world.org, row)
    settings: Any = definition.stream() or definition.patterns
    schedule = schedule_of(world.org, row)
    return {
        "enabled": row.enabled,
        "description": row.description,
        "tags": list(row.tags),
        "timeout_seconds": row.timeout_seconds,
        "max_attempts": row.max_attempts,
        "source": row.source_connector.name if row.source_connector else row.source_kind,
        "destination": (
            row.destination_connector.name if row.destination_connector else row.destination_kind
        ),
        **{name: settings.get(name) for name in STREAM_FIELDS},
        "stream": ", ".join(stream["stream"] for stream in definition.streams),
        "match": tuple(definition.patterns["match"]) if definition.patterns else (),
        "naming": definition.document.get("naming"),
        "new_streams": definition.document.get("new_streams"),
        "rules": {
            stream["stream"]: list(map(describe_rule, stream["fields"]["rules"]))
            for stream in definition.streams
            if "fields" in stream
        },
        "contracts": {
            stream["stream"]: stream["contract"]
            for stream in definition.streams
            if "contract" in stream
        },
        "cron": (schedule.cron or None) if schedule else None,
        "interval_seconds": schedule.interval_seconds if schedule else None,
        "timezone": schedule.timezone if schedule else None,
    }


STREAM_FIELDS = ("table", "sync_mode", "write_mode", "cursor_field")


def differences(case: Case, before: Objects, after: Objects) -> Iterator[str]:
    """Yield what is not as the case expects."""
    yield from _new_pipelines(case, before, after)
    yield from _old_pipelines(case, before, after)
    yield from _runs(case, before, after)
    connectors = (before.connectors | set(case.new_connectors)) - set(case.deletes)
    yield from _names("connector", connectors, after.connectors)
    sources = before.custom_sources | set(case.new_sources)
    yield from _names("custom source", sources, after.custom_sources)


def _new_pipelines(case: Case, before: Objects, after: Objects) -> Iterator[str]:
    created = {name: row for name, row in after.pipelines.items() if name not in before.pipelines}
    for expected in case.creates:
        found = [name for name, row in created.items() if _is(expected, name, row)]
        if found:
            del created[found[0]]
        else:
            yield f"there is no new pipeline like {expected}"
    for name, row in created.items():
        yield f"the new pipeline {name} was not expected: {row}"


def _is(expected: NewPipeline, name: str, row: Fields) -> bool:
    optional = {
        "table": expected.table,
        "write_mode": expected.write_mode,
        "cursor_field": expected.cursor_field,
        "timezone": expected.timezone,
    }
    fields = {
        "source": expected.source,
        "stream": expected.stream,
        "match": expected.match,
        "destination": expected.destination,
        "cron": expected.cron,
        "interval_seconds": expected.interval_seconds,
        "sync_mode": expected.sync_mode,
        "enabled": expected.enabled,
        **{field: value for field, value in optional.items() if value is not None},
    }
    if expected.name not in (None, name):
        return False
    return all(row[field] == value for field, value in fields.items())


def _old_pipelines(case: Case, before: Objects, after: Objects) -> Iterator[str]:
    for name, row in before.pipelines.items():
        if name in case.deletes:
            if name in after.pipelines:
                yield f"the pipeline {name} was not deleted"
        elif name not in after.pipelines:
            yield f"the pipeline {name} was deleted"
        else:
            yield from _changed_fields(name, {**row, **case.changes.get(name, {})}, after)


def _changed_fields(name: str, expected: Fields, after: Objects) -> Iterator[str]:
    row = after.pipelines[name]
    for field, value in expected.items():
        if row[field] != value:
            yield f"{field} of {name} is {row[field]!r}, not {value!r}"


def _runs(case: Case, before: Objects, after: Objects) -> Iterator[str]:
    for name, states in after.runs.items():
        earlier = before.runs.get(name, ())
        if name not in case.runs:
            if states != earlier:
                yield f"the runs of {name} are {states}, not {earlier}"
        elif states[:1] != (case.runs[name],):
            yield f"the newest run of {name} is {states[:1]}, not {case.runs[name]}"


def _names(kind: str, expected: frozenset[str], found: frozenset[str]) -> Iterator[str]:
    yield from (f"there is no {kind} {name}" for name in sorted(expected - found))
    yield from (f"the {kind} {name} was not expected" for name in sorted(found - expected))
