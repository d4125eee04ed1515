"""What was changed between the last successful run and the first failure after it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from apps.connectors.models import Connector
from apps.orgs.models import AuditEvent
from apps.orgs.roles import Permission
from apps.pipelines.history import services as history
from apps.pipelines.history.diffs import Change
from apps.runs.explaining.findings import AUDIT_PATH, Evidence, PipelineFacts, time_text

MAX_CHANGES = 5
MAX_VALUE = 80  # characters of a value


def change_evidence(facts: PipelineFacts) -> Iterator[Evidence]:
    """Yield the changes before the first failure since the last success. Without a failure, there is nothing to explain."""
    failure, success = facts.first_failure, facts.last_success
    if facts.newest_failure is None or failure is None:
        return
    since = success["created_at"] if success else facts.pipeline.created_at
    until = failure["started_at"] or failure["created_at"]
    if success is not None:
        yield from _version_evidence(facts, success["version"], failure["version"])
    yield from _connector_evidence(facts, since, until)
    yield from _audit_evidence(facts, since, until)


def _version_evidence(facts: PipelineFacts, before: int, after: int) -> Iterator[Evidence]:
    pipeline_id = facts.pipeline.pk
    for number in range(after, max(before, after - MAX_CHANGES), -1):
        version = history.find_version(
            org=facts.org, by=facts.by, pipeline_id=pipeline_id, number=number
        )
        person = version.created_by
        name = f" by {person.name or person.email}" if person else ""
        text = f"Version {number} was saved{name} at {time_text(version.created_at)}, before the first failed run"
        changes = history.compare_versions(
            org=facts.org, by=facts.by, pipeline_id=pipeline_id, before=number - 1, after=number
        )
        quote = "; ".join(_change_text(change) for change in changes[:MAX_CHANGES])
        yield Evidence(text, facts.path, quote=quote)


def _change_text(change: Change) -> str:
    if change["secret"]:
        return f"{change['field']} changed (secret)"
    before, after = (str(value)[:MAX_VALUE] for value in (change["before"], change["after"]))
    return f"{change['field']}: {before} -> {after}"


def _connector_evidence(
    facts: PipelineFacts, since: datetime, until: datetime
) -> Iterator[Evidence]:
    pipeline = facts.pipeline
    ids = [pipeline.source_connector_id, pipeline.destination_connector_id]
    rows = Connector.objects.for_org(facts.org).filter(
        pk__in=[pk for pk in ids if pk], updated_at__gt=since, updated_at__lte=until
    )
    for connector in rows.order_by("role"):
        text = (
            f"The {connector.role} connector {connector.name} was changed at {time_text(connector.updated_at)}, before"
            " the first failed run."
        )
        yield Evidence(text, facts.path)


def _audit_evidence(facts: PipelineFacts, since: datetime, until: datetime) -> Iterator[Evidence]:
    """Yield the audit events of the pipeline, for members who may see the audit log."""
    if not facts.by.may(Permission.AUDIT_VIEW):
        return
    events = AuditEvent.objects.for_org(facts.org).filter(
        object_id=facts.pipeline.pk, at__gt=since, at__lte=until
    )
    for event in events.order_by("-at")[:MAX_CHANGES]:
        fields = ", ".join(sorted(event.changes)[:MAX_CHANGES])
        text = (
            f"Audit log: {event.action} by {event.actor_label} at {time_text(event.at)} ({fields})."
        )
        yield Evidence(text, AUDIT_PATH)
