"""The incidents that PagerDuty and Opsgenie open and close. Each is about one alert, or about the alerts of a burst.

All requests about an incident have the same key, so one that arrives twice does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from apps.alerts import words
from apps.alerts.kinds.answers import Answer
from apps.alerts.models import DeliveryKind
from apps.alerts.payloads import Message, page_address
from apps.json import JsonObject
from apps.orgs.models import Org


@dataclass(frozen=True, slots=True)
class Incident:
    """`title` is one line, `details` are further lines, and `page` is the title and the address of a page of Drover."""

    key: str
    title: str
    details: Sequence[str]
    subject: str  # empty if there are several, and for a test
    kind: str  # of the rule, or "several" or "test"
    at: str
    page: tuple[str, str] | None
    organization: str
    is_test: bool


Request = Callable[[Incident, JsonObject], Answer]


def sender(open_incident: Request, close: Request) -> Callable[[Message, JsonObject, Org], Answer]:
    """Return the function `send` of a kind. It opens or closes the incident of a message, and for a test it does both."""

    def send(message: Message, settings: JsonObject, org: Org) -> Answer:
        incident = _incident(message)
        if message["events"][0]["kind"] == DeliveryKind.CLOSED:
            return close(incident, settings)
        answer = open_incident(incident, settings)
        return close(incident, settings) if incident.is_test and answer.accepted else answer

    return send


def _incident(message: Message) -> Incident:
    first, is_single = message["events"][0], message["count"] == 1
    title, *details = words.event_lines(first) if is_single else _lines_of_several(message)
    return Incident(
        key=message["incident_key"],
        title=title,
        details=details,
        subject=words.subject(first) if is_single else "",
        kind=_kind(message),
        at=first["at"],
        page=words.page(message)
        if is_single
        else ("Open all alerts", page_address("alerts/deliveries")),
        organization=message["organization"]["name"],
        is_test=first["kind"] == DeliveryKind.TEST,
    )


def _kind(message: Message) -> str:
    rule = message["events"][0]["rule"]
    if rule is None:
        return "test"
    return rule["kind"] if message["count"] == 1 else "several"


def _lines_of_several(message: Message) -> list[str]:
    if message["events"][0]["kind"] == DeliveryKind.CLOSED:
        return ["All alerts of this incident have recovered."]
    lines = [words.event_lines(event)[0] for event in message["events"]]
    more = words.more(message)
    return [f"{words.title(message)}.", *lines, *([more] if more else [])]
