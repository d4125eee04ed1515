"""The sentences about events, for people."""

from __future__ import annotations

from collections.abc import Callable

from apps.alerts.models import DeliveryKind, SubjectKind
from apps.alerts.payloads import Event, Message
from apps.alerts.rule_kinds.registry import RULE_KINDS

Rendering = Callable[[str], str]

# What the page of a subject shows, as in "Open the pipeline".
SUBJECTS = {
    SubjectKind.PIPELINE: "pipeline",
    SubjectKind.LIMIT: "usage",
    SubjectKind.API_KEY: "API keys",
    SubjectKind.CONNECTOR: "connector",
    SubjectKind.RUNS: "queue",
}


def quote(name: str) -> str:
    return f"“{name}”"


def unchanged(text: str) -> str:
    return text


def title(message: Message, *, quote: Rendering = quote) -> str:
    """Return what has happened in one line."""
    first = message["events"][0]
    if first["kind"] == DeliveryKind.TEST:
        return f"Test of the channel {quote(message['channel']['name'])}"
    recovered = message["recovered_count"]
    alerts = message["count"] - recovered
    if alerts == 1 and first["subject"] is not None:
        label = f"{_label(first)}, and recovered" if recovered else _label(first)
        return f"{label}: {quote(first['subject']['name'])}"
    of = " of your pipelines" if all(event["pipeline"] for event in message["events"]) else ""
    title = f"{alerts} alerts{of}"
    are_all_known = message["count"] == len(message["events"])
    if are_all_known and all(event["kind"] == DeliveryKind.CLOSED for event in message["events"]):
        return f"{title} have recovered"
    return f"{title}, {recovered} of them recovered" if recovered else title


def events_with_lines(
    message: Message, *, quote: Rendering = quote, plain: Rendering = unchanged
) -> list[tuple[Event, list[str]]]:
    """Return the events that are told, with their sentences. A recovery is told with what has opened in the same message."""
    recovered = {each["alert_id"]: each["summary"] for each in message["recovered"]}
    told = []
    for event in message["events"]:
        summary = recovered.get(event["alert_id"] or "")
        if summary is not None and event["kind"] == DeliveryKind.CLOSED:
            continue
        lines = event_lines(event, quote=quote, plain=plain)
        if summary is not None:
            lines.append(f"{quote(subject(event))} {plain(summary)}.")
        told.append((event, lines))
    return told


def event_lines(
    event: Event, *, quote: Rendering = quote, plain: Rendering = unchanged
) -> list[str]:
    """Return the sentences about one event. `quote` and `plain` make texts of users and of sources harmless."""
    if event["subject"] is None:
        return ["This is a test. Alerts will arrive here."]
    sentence = f"{quote(event['subject']['name'])} {plain(event['summary'])}."
    return [sentence, *_why(event, plain)]


def subject(event: Event) -> str:
    """Return the name of what the event is about, or nothing for a test."""
    return event["subject"]["name"] if event["subject"] else ""


def alert_id(event: Event) -> str:
    """Return the id of the alert. A test is an alert of its own."""
    return event["alert_id"] or event["id"]


def page(message: Message) -> tuple[str, str] | None:
    """Return the title and the address of the page that the only event of the message is about."""
    event = message["events"][0]
    if message["count"] != 1:
        return None
    if event["run"] is not None:
        return "Open the run", event["run"]["url"]
    found = event["subject"]
    return (f"Open the {SUBJECTS[SubjectKind(found['kind'])]}", found["url"]) if found else None


def more(message: Message) -> str:
    """Return how many events the message does not list, or nothing."""
    hidden = message["count"] - len(message["events"])
    return f"And {hidden} more." if hidden > 0 else ""


def _label(event: Event) -> str:
    if event["rule"] is None:
        return "Recovered"
    if event["kind"] == DeliveryKind.STILL_OPEN:
        return "Still open"
    kind = RULE_KINDS[event["rule"]["kind"]]
    return kind.closed_label if event["kind"] == DeliveryKind.CLOSED else kind.label


def _why(event: Event, plain: Rendering) -> list[str]:
    failure = event["failure"]
    if failure is None:
        return []
    lines = [f"Reason ({failure['class'].replace('_', ' ')}): {plain(failure['message'])}"]
    return [*lines, f"Next step: {failure['next_step']}"] if failure["next_step"] else lines
