"""The sentences about events, for people."""

from __future__ import annotations

from collections.abc import Callable

from apps.alerts.models import DeliveryKind, RuleKind
from apps.alerts.payloads import Event, Message

Rendering = Callable[[str], str]


def quote(name: str) -> str:
    return f"“{name}”"


def unchanged(text: str) -> str:
    return text


def title(message: Message, *, quote: Rendering = quote) -> str:
    """Return what has happened in one line."""
    first = message["events"][0]
    if first["kind"] == DeliveryKind.TEST:
        return f"Test of the channel {quote(message['channel']['name'])}"
    if message["count"] == 1 and first["pipeline"] is not None:
        verb = "Failed" if first["kind"] == DeliveryKind.OPENED else "Recovered"
        return f"{verb}: {quote(first['pipeline']['name'])}"
    return f"{message['count']} alerts of your pipelines"


def event_lines(
    event: Event, *, quote: Rendering = quote, plain: Rendering = unchanged
) -> list[str]:
    """Return the sentences about one event. `quote` and `plain` make texts of users and of sources harmless."""
    pipeline, run, rule = event["pipeline"], event["run"], event["rule"]
    if pipeline is None or run is None or rule is None:
        return ["This is a test. Alerts will arrive here."]
    name = quote(pipeline["name"])
    if event["kind"] == DeliveryKind.CLOSED:
        return [f"{name} has recovered: its last run has succeeded."]
    return [_what_failed(name, event), *_why(event, plain)]


def more(message: Message) -> str:
    """Return how many events the message does not list, or nothing."""
    hidden = message["count"] - len(message["events"])
    return f"And {hidden} more." if hidden > 0 else ""


def _what_failed(name: str, event: Event) -> str:
    rule, run = event["rule"], event["run"]
    if rule is not None and rule["kind"] == RuleKind.FAILED_IN_A_ROW:
        return f"{name} has failed {rule['threshold']} times in a row."
    attempts = run["attempts"] if run is not None else 1
    return f"{name} has failed after {attempts} attempt{'s' if attempts != 1 else ''}."


def _why(event: Event, plain: Rendering) -> list[str]:
    failure = event["failure"]
    if failure is None:
        return []
    lines = [f"Reason ({failure['class'].replace('_', ' ')}): {plain(failure['message'])}"]
    return [*lines, f"Next step: {failure['next_step']}"] if failure["next_step"] else lines
