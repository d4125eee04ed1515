"""What was changed before something went wrong: a failure, a run without records, or no run at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import filterfalse, islice
from typing import Any

import orjson

from apps.connectors.custom_sources.kinds import custom_source_id
from apps.connectors.models import CustomSource
from apps.connectors.services import connectors
from apps.json import JsonValue
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Permission
from apps.pipelines.definition.document import parse_uuid
from apps.pipelines.history import services as history
from apps.pipelines.history.diffs import Change, diff
from apps.pipelines.schedules import plans, words
from apps.runs.explaining.findings import AUDIT_PATH, Evidence, PipelineFacts
from apps.runs.snapshots import RunSnapshot

MAX_CHANGES = 5
LOOK = "data.viewed"  # how the audit log calls a look, which changes nothing
MAX_EVENTS_READ = 100  # of the audit log; most of them may only add versions
FIELDS_WITH_IDS = frozenset({"source.kind", "source.connector_id", "destination.connector_id"})
CUSTOM_SOURCE = "a custom source"
OTHER_CONNECTOR = "another connector"
MAX_VALUE = 80  # characters of a value
ACTIONS_IN_WORDS = {
    "pipeline.update": "was changed",
    "pipeline.restore": "was set to an earlier version",
    "connector.update": "was changed",
}


@dataclass(frozen=True, slots=True)
class Period:
    """The time in which a change may have caused what is explained. `position` is a text about its place in time."""

    since: datetime
    until: datetime
    first_version: int  # the version at the beginning of the period
    last_version: int
    position: str


def change_evidence(facts: PipelineFacts) -> Iterator[Evidence]:
    """Yield the changes before the first failed or empty run, and the changes after the last run."""
    for period in _periods(facts):
        yield from _version_evidence(facts, period)
        if facts.by.may(Permission.AUDIT_VIEW):
            yield from _audit_evidence(facts, period)
        else:
            yield from _connector_evidence(facts, period)


def _periods(facts: PipelineFacts) -> Iterator[Period]:
    if facts.newest_failure is not None and facts.first_failure is not None:
        before = "before the first failed run"
        yield _period_between(facts, facts.last_success, facts.first_failure, before)
    elif facts.first_empty_run is not None:
        before = "before the first run without records"
        yield _period_between(facts, facts.last_run_with_records, facts.first_empty_run, before)
    pipeline = facts.pipeline
    newest = next(iter(facts.runs), None)
    since = newest["created_at"] if newest else pipeline.created_at
    first_version = newest["version"] if newest else 1
    after = "after the last run was created" if newest else "before the first run"
    yield Period(since, facts.now, first_version, pipeline.version, after)


def _period_between(
    facts: PipelineFacts, good: RunSnapshot | None, bad: RunSnapshot, position: str
) -> Period:
    """Return the time between a run that was as expected, or the creation of the pipeline, and one that was not."""
    since = good["created_at"] if good else facts.pipeline.created_at
    until = bad["started_at"] or bad["created_at"]
    first_version = good["version"] if good else bad["version"]
    return Period(since, until, first_version, bad["version"], position)


def _version_evidence(facts: PipelineFacts, period: Period) -> Iterator[Evidence]:
    pipeline_id, last = facts.pipeline.pk, period.last_version
    for number in range(last, max(period.first_version, last - MAX_CHANGES), -1):
        version = history.find_version(
            org=facts.org, by=facts.by, pipeline_id=pipeline_id, number=number
        )
        person = version.created_by
        name = f" by {person.name or person.email}" if person else ""
        text = f"Version {number} was saved{name} at {facts.time_text(version.created_at)}, {period.position}"
        changes = history.compare_versions(
            org=facts.org, by=facts.by, pipeline_id=pipeline_id, before=number - 1, after=number
        )
        shown = [_with_names(facts, change) for change in changes[:MAX_CHANGES]]
        quote = "; ".join(map(_change_text, shown))
        yield Evidence(text, facts.path, quote=quote)


def _with_names(facts: PipelineFacts, change: Change) -> Change:
    """Return the change with the names of connectors and custom sources instead of their ids."""
    if change["field"] not in FIELDS_WITH_IDS:
        return change
    before, after = (_name_of(facts, change[side]) for side in ("before", "after"))
    return {**change, "before": before, "after": after}


def _name_of(facts: PipelineFacts, value: JsonValue) -> JsonValue:
    """Return the name of the connector or custom source, if the principal can see it, or else the value."""
    if not isinstance(value, str):
        return value
    source_id = custom_source_id(value)
    if source_id is not None:
        rows = CustomSource.objects.for_org(facts.org).filter(pk=source_id)
        return rows.values_list("name", flat=True).first() or CUSTOM_SOURCE
    if parse_uuid(value) is None:
        return value
    names = connectors(facts.org, facts.by).filter(pk=value).values_list("name", flat=True)
    return names.first() or OTHER_CONNECTOR


def _change_text(change: Change) -> str:
    if change["secret"]:
        return f"{change['field']} changed (secret)"
    return _values_text(change["field"], change["before"], change["after"])


def _values_text(field: str, before: object, after: object) -> str:
    name = field.removeprefix("streams.0.").replace("_", " ")
    if field in FIELDS_WITH_IDS:
        name = field.partition(".")[0]
    return f"{name}: {_value_text(before)} -> {_value_text(after)}"


def _value_text(value: object) -> str:
    """Return the value as the API shows it, such as `true` and not `True`."""
    return (value if isinstance(value, str) else orjson.dumps(value).decode())[:MAX_VALUE]


def _connector_evidence(facts: PipelineFacts, period: Period) -> Iterator[Evidence]:
    """Yield the changes of the pipeline's connectors that the principal can see."""
    pipeline = facts.pipeline
    ids = [pipeline.source_connector_id, pipeline.destination_connector_id]
    rows = connectors(facts.org, facts.by).filter(
        pk__in=[pk for pk in ids if pk],
        created_at__lte=period.since,
        updated_at__gt=period.since,
        updated_at__lte=period.until,
    )
    for connector in rows.order_by("role"):
        text = (
            f"The {connector.role} connector {connector.name} was changed at {facts.time_text(connector.updated_at)},"
            f" {period.position}."
        )
        yield Evidence(text, f"/connectors/{connector.pk}")


def _audit_evidence(facts: PipelineFacts, period: Period) -> Iterator[Evidence]:
    """Yield the audit events of the pipeline and its connectors, except new versions, which are known already."""
    pipeline = facts.pipeline
    ids = [pipeline.pk, pipeline.source_connector_id, pipeline.destination_connector_id]
    events = AuditEvent.objects.for_org(facts.org).filter(
        object_id__in=[pk for pk in ids if pk], at__gt=period.since, at__lte=period.until
    )
    changes = events.exclude(action__endswith=".create").exclude(action=LOOK)
    newest = changes.order_by("-at")[:MAX_EVENTS_READ]
    for event in islice(filterfalse(_only_adds_version, newest), MAX_CHANGES):
        text = (
            f"Audit log: {_action_text(event)} by {event.actor_label} at {facts.time_text(event.at)},"
            f" {period.position}"
        )
        yield Evidence(text, AUDIT_PATH, quote=_audited_changes(event.changes))


def _only_adds_version(event: AuditEvent) -> bool:
    return "version" in event.changes and all(
        field == "version" or field.startswith("config.") for field in event.changes
    )


def _action_text(event: AuditEvent) -> str:
    in_words = ACTIONS_IN_WORDS.get(event.action)
    if in_words is None:
        return f"{event.action} of {event.object_label}"
    return f"{event.object_label} {in_words}"


def _audited_changes(changes: dict[str, Any]) -> str:
    """Return the changed fields with their values. The audit log has masked the secrets in them."""
    return "; ".join(
        _audited_change(field, *changes[field])
        for field in sorted(changes)[:MAX_CHANGES]
        if isinstance(changes[field], list) and len(changes[field]) == 2
    )


def _audited_change(field: str, before: object, after: object) -> str:
    """Return the change of a field. A schedule is in words; of other objects only the values that differ are shown."""
    if field == "schedule":
        old, new = _schedule_in_words(before), _schedule_in_words(after)
        if old != new:
            return _values_text(field, old, new)
    return "; ".join(map(_change_text, diff({field: before}, {field: after})))


def _schedule_in_words(schedule: object) -> str:
    plan, _errors = plans.parse_plan(schedule)
    return words.describe(plan) if plan else words.MANUAL
