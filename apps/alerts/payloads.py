"""The JSON of events and messages. Its schema is `AlertMessage` in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired, TypedDict
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from apps.alerts.deciding.ended_runs import EndedRun
from apps.alerts.models import Alert, Channel, DeliveryKind, SubjectKind
from apps.alerts.rule_kinds.verdicts import Measurement
from apps.auth.models import new_id
from apps.json import JsonObject
from apps.orgs.models import Org
from apps.pipelines.models import Pipeline

MAX_EVENTS = 20  # of one message
MAX_FAILURE_LENGTH = 500  # characters of the failure's message


class RulePart(TypedDict):
    id: str
    kind: str
    settings: JsonObject
    scope: str


class NamePart(TypedDict):
    id: str
    name: str
    url: str


class Subject(TypedDict):
    """What an event is about. `id` is a UUID, or the name of a limit."""

    kind: str  # a SubjectKind
    id: str
    name: str
    url: str


class RunPart(TypedDict):
    id: str
    status: str
    trigger: str
    attempts: int
    url: str


FailurePart = TypedDict(
    "FailurePart", {"class": str, "message": str, "retryable": bool, "next_step": str}
)


class Event(TypedDict):
    """One event, stored with its delivery. A test has no alert, rule, subject, pipeline, run and failure; only an event about a run has one.

    `subject` is always what the event is about. `pipeline` is the same if that is a pipeline.
    """

    id: str
    kind: str  # a DeliveryKind
    at: str
    alert_id: str | None
    opened_at: str | None
    rule: RulePart | None
    subject: Subject | None
    pipeline: NamePart | None
    run: RunPart | None
    summary: str  # follows the name of the subject, as in "has failed after 3 attempts"
    measurement: Measurement | None
    failure: FailurePart | None


class Recovery(TypedDict):
    """An alert that has opened and closed in the same message."""

    alert_id: str
    at: str
    summary: str


class Message(TypedDict):
    """What one request to a webhook contains: up to MAX_EVENTS events, and the number of all.

    `recovered` has those of the listed alerts that have closed in the same message, and `recovered_count` is the number of all.
    """

    id: str  # the same if the message is sent again
    sent_at: str
    organization: dict[str, str]
    channel: dict[str, str]
    count: int
    events: list[Event]
    recovered_count: int
    recovered: list[Recovery]
    incident_key: NotRequired[str]  # only for kinds that open incidents; it is not sent to webhooks


def event(
    kind: DeliveryKind,
    *,
    alert: Alert,
    subject: Subject,
    at: datetime,
    run: EndedRun | None,
    summary: str,
    measurement: Measurement | None = None,
) -> Event:
    """Return the event that an alert has opened or closed. The alert has its rule."""
    rule = alert.rule
    return {
        "id": str(new_id()),
        "kind": kind.value,
        "at": time_text(at),
        "alert_id": str(alert.pk),
        "opened_at": time_text(alert.opened_at),
        "rule": {
            "id": str(rule.pk),
            "kind": rule.kind,
            "settings": rule.settings,
            "scope": rule.scope,
        },
        "subject": subject,
        "pipeline": _pipeline_part(subject),
        "run": None if run is None else run_part(run),
        "summary": summary,
        "measurement": measurement,
        "failure": _failure(run) if run and kind == DeliveryKind.OPENED else None,
    }


def reminder(alert: Alert, at: datetime) -> Event:
    """Return the event that an alert is still open. It repeats what has opened it."""
    cause: Event = alert.cause
    return {
        **cause,
        "id": str(new_id()),
        "kind": DeliveryKind.STILL_OPEN.value,
        "at": time_text(at),
        "summary": f"{cause['summary']}, and has not recovered since {alert.opened_at:%Y-%m-%d %H:%M} UTC",
    }


def end(cause: Event, at: datetime, summary: str) -> Event:
    """Return the event that an alert is over. Its rule or its pipeline may have been deleted, so `cause` is what has opened it."""
    return {
        **cause,
        "id": str(new_id()),
        "kind": DeliveryKind.CLOSED.value,
        "at": time_text(at),
        "run": None,
        "summary": summary,
        "measurement": None,
        "failure": None,
    }


def test_event() -> Event:
    """Return the event of the button Test."""
    return {
        "id": str(new_id()),
        "kind": DeliveryKind.TEST.value,
        "at": time_text(timezone.now()),
        "alert_id": None,
        "opened_at": None,
        "rule": None,
        "subject": None,
        "pipeline": None,
        "run": None,
        "summary": "",
        "measurement": None,
        "failure": None,
    }


def message(
    message_id: UUID,
    *,
    org: Org,
    channel: Channel,
    count: int,
    events: list[Event],
    recoveries: tuple[int, list[Recovery]],
) -> Message:
    recovered_count, recovered = recoveries
    return {
        "id": str(message_id),
        "sent_at": time_text(timezone.now()),
        "organization": {"id": str(org.pk), "name": org.name},
        "channel": {"id": str(channel.pk), "name": channel.name},
        "count": count,
        "events": events[:MAX_EVENTS],
        "recovered_count": recovered_count,
        "recovered": recovered,
    }


def pipeline_subject(pipeline: Pipeline) -> Subject:
    return {
        "kind": SubjectKind.PIPELINE.value,
        "id": str(pipeline.pk),
        "name": pipeline.name,
        "url": page_address(f"pipelines/{pipeline.pk}"),
    }


def subject_of(alert: Alert) -> Subject:
    """Return what the alert is about. Its pipeline has its name of today."""
    if alert.pipeline is not None:
        return pipeline_subject(alert.pipeline)
    subject: Subject = alert.cause["subject"]
    return subject


def run_part(run: EndedRun) -> RunPart:
    return {
        "id": str(run.id),
        "status": run.status,
        "trigger": run.trigger,
        "attempts": run.attempts,
        "url": page_address(f"runs/{run.id}"),
    }


def page_address(path: str) -> str:
    """Return the address of a page of the dashboard."""
    return f"{settings.PUBLIC_URL}/{path}"


def time_text(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _pipeline_part(subject: Subject) -> NamePart | None:
    if subject["kind"] != SubjectKind.PIPELINE:
        return None
    return {"id": subject["id"], "name": subject["name"], "url": subject["url"]}


def _failure(run: EndedRun) -> Any:
    if run.failure is None:
        return None
    return {**run.failure, "message": str(run.failure["message"])[:MAX_FAILURE_LENGTH]}
